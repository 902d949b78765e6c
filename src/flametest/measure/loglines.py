"""What a line of a log tells of a request: whether it failed here, how long it took, and whom it blames. Pure.

Lines of any application are read: one JSON object, ``key=value`` pairs, an access log in the common format, plain text.
A line that was cut off is read as far as it goes, so fields are looked for, and not parsed as a whole. Names of fields
are those of OpenTelemetry, ECS, and the loggers in use.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Peers", "Told", "read_line"]

_PAIR = re.compile(r'"?([A-Za-z_][\w.\-]*)"?\s*[:=]\s*("(?:[^"\\]|\\.)*"?|[^\s,}\]"]+)')
_LEVELS = frozenset({"level", "severity", "lvl", "loglevel", "log.level", "levelname", "severitytext"})
_STATUSES = frozenset(
    {
        *("status", "status_code", "statuscode", "http.status_code", "http.response.status_code", "response_code"),
        *("http_status", "httpstatus", "response.status"),
    }
)
_SECONDS = {
    **dict.fromkeys(("duration_ms", "latency_ms", "elapsed_ms", "took_ms", "responsetime", "response_time_ms"), 1e-3),
    **dict.fromkeys(("duration_s", "duration_seconds", "request_time", "latency_s", "elapsed_s", "took_s"), 1.0),
}
_DURATIONS = frozenset({"duration", "latency", "elapsed", "took", "response_time"})
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_DURATION = re.compile(r"([0-9.]+)\s*(ns|us|µs|ms|s)")
_ERRORS = frozenset({"exception", "error", "err", "stack", "stacktrace", "error.message", "exception.message"})
_NOTHING = frozenset({"", "null", "none", "false", "nil", "-", "0", "[]", "{}"})
# In which fields others are named that did not do their part; in the rest, such as a path, names mean something else.
_BLAMING = _ERRORS | frozenset(
    {
        *("message", "msg", "reason", "detail", "cause", "upstream", "upstream_addr", "upstream_host", "peer.service"),
        *("server.address", "dependency", "backend", "target", "peer"),
    }
)
_BAD_LEVEL = re.compile(r"warn|err|fatal|crit|panic|alert|emerg|severe", re.IGNORECASE)
_PLAIN_LEVEL = re.compile(r"\b(?:WARN(?:ING)?|ERROR|FATAL|CRITICAL|PANIC|SEVERE)\b|^[WEF]\d{4} ")
_ACCESS = re.compile(r'HTTP/[\d.]+"\s+(\d{3})\b')
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_HOST = re.compile(r"(?:(?<=//)|(?<=@)|(?<![\w./-]))([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9.-]+)?(?=:\d|\.svc)")
_WORD = re.compile(r"(?<![\w./-])([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?![\w/-]|\.\w)")
# Whoever cannot ask the name server has not been let down by whom it looked for. "Temporary failure in name resolution"
# is no such case: the C library says so of a short name that is not there as well, such as that of a Service removed.
_NO_NAMES = re.compile(r"contacting DNS|server misbehaving", re.IGNORECASE)
_NUMERIC_WARNING = 40  # of pino and bunyan, whose levels are numbers
_CLIENT_GONE = 499  # nginx: the client did not wait for the answer
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Peers:
    """Who can be blamed: workloads by their names, by those of their Services, and by addresses."""

    names: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What a line tells.

    Attributes:
        is_failure: whether it tells of a failure or a warning.
        status: the status that was answered; 0 for none.
        seconds: how long the request took here; None where it does not say.
        blames: workloads that it names as not having done their part, the clearest first; only of a failure.
    """

    is_failure: bool
    status: int
    seconds: float | None
    blames: tuple[str, ...] = ()


def read_line(text: str, own: Collection[str] = (), peers: Peers | None = None) -> Told:
    """Return what a line tells.

    Args:
        text: the line.
        own: names that mean whoever wrote it.
        peers: who else there is.
    """
    fields = {name.lower(): _value(value) for name, value in _PAIR.findall(text)}
    status = _status(fields, text)
    is_structured = text.lstrip().startswith("{") or any(name in fields for name in _LEVELS)
    is_failure = status >= _SERVER_ERROR or status == _CLIENT_GONE or _is_bad_level(fields, text, is_structured)
    if not status:  # else the reason of a refusal, such as "sold out", would pass for a failure
        is_failure = is_failure or any(fields[name].strip().lower() not in _NOTHING for name in _ERRORS & fields.keys())
    blames: tuple[str, ...] = ()
    if is_failure and peers is not None and not _NO_NAMES.search(text):
        blaming = [fields[name] for name in fields if name in _BLAMING] if is_structured else [text]
        found = dict.fromkeys(_named("\n".join(blaming), peers))
        blames = tuple(one for one in found if one not in own)
    return Told(is_failure, status, _seconds(fields), blames)


def _value(text: str) -> str:
    return text.strip('"').replace("\\n", "\n").replace('\\"', '"')


def _status(fields: Mapping[str, str], text: str) -> int:
    for name in fields:
        if name in _STATUSES and fields[name].isdigit() and len(fields[name]) == 3:
            return int(fields[name])
    found = _ACCESS.search(text)
    return int(found.group(1)) if found else 0


def _is_bad_level(fields: Mapping[str, str], text: str, is_structured: bool) -> bool:
    for name in _LEVELS & fields.keys():
        level = fields[name]
        if _BAD_LEVEL.match(level) or (level.isdigit() and int(level) >= _NUMERIC_WARNING):
            return True
    return not is_structured and _PLAIN_LEVEL.search(text) is not None


def _seconds(fields: Mapping[str, str]) -> float | None:
    for name, value in fields.items():
        try:
            if name in _SECONDS:
                return float(value) * _SECONDS[name]
            if name in _DURATIONS and (found := _DURATION.fullmatch(value)):
                return float(found.group(1)) * _UNITS[found.group(2)]
        except ValueError:
            continue
    return None


def _named(text: str, peers: Peers) -> Iterator[str]:
    """Yield the workloads that a text names: by an address, as a host, then by a word that is a name."""
    for address in _ADDRESS.findall(text):
        if address in peers.addresses:
            yield peers.addresses[address]
    for pattern in (_HOST, _WORD):
        for name in pattern.findall(text.lower()):
            if name in peers.names:
                yield peers.names[name]
