"""Which paths an nginx in front sends where, read from the ``location`` blocks of its ConfigMaps. Pure.

Only what stands there plainly: a location, and a ``proxy_pass`` to a Service or to an ``upstream`` of one.
https://nginx.org/en/docs/http/ngx_http_core_module.html#location
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from flametest.starter.needs import service_of_host
from flametest.starter.system import System, Workload

__all__ = ["proxied_paths", "proxied_service"]

_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_LOCATION = re.compile(r"\blocation\s+(?:(?P<modifier>=|\^~|~\*|~)\s*)?(?P<path>/\S*|\^?/\S*|\"[^\"]*\")\s*\{")
_LOCATION_LINE = re.compile(r"\blocation\s+(?:(?P<modifier>=|\^~|~\*|~)\s*)?(?P<path>\S+)\s*\{")
_SERVER = re.compile(r"\bserver\s*\{")
_UPSTREAM = re.compile(r"\bupstream\s+(?P<name>[\w.-]+)\s*\{[^}]*?\bserver\s+(?P<host>[\w.-]+)")
_PASS = re.compile(r"\bproxy_pass\s+https?://(?P<host>[\w.-]+)")
_LITERAL = re.compile(r"[\w/.~-]*")


def proxied_paths(system: System, workloads: Iterable[Workload]) -> tuple[tuple[str, str], ...]:
    """Return the paths that workloads send on, each with the Service that gets them, in the order of the texts."""
    names = {one.name for one in system.services}
    found: dict[str, str] = {}
    for text in dict.fromkeys(text for one in workloads for text in _texts(system, one)):
        for path, host in _passed(text):
            service = service_of_host(host, names, system.namespace)
            if service:
                found.setdefault(path, service)
    return tuple(found.items())


def proxied_service(system: System, workload: Workload, path: str) -> str:
    """Return the Service to which a workload sends requests for a path on; empty where that is not beyond doubt.

    So it is where one server is all there is, no regular expression takes the path, and its longest prefix is sent on.
    """
    texts = list(dict.fromkeys(_texts(system, workload)))
    locations = _locations(texts[0]) if len(texts) == 1 else ()
    longest = ""
    for modifier, prefix in locations:
        if modifier in ("~", "~*"):
            if _may_match(prefix, path):
                return ""
        elif path == prefix or (path.startswith(prefix) and modifier != "="):
            longest = max(longest, prefix, key=len)
    return dict(proxied_paths(system, [workload])).get(longest, "") if longest else ""


@lru_cache(maxsize=64)  # many workloads may be given the same long text
def _locations(text: str) -> tuple[tuple[str, str], ...]:
    """Return modifier and path of each location of a text with one server; none of one with several."""
    text = _COMMENT.sub("", text)
    if len(_SERVER.findall(text)) != 1:
        return ()
    found = ((one["modifier"] or "", one["path"]) for one in _LOCATION_LINE.finditer(text))
    return tuple(one for one in found if not one[1].startswith("@"))


def _may_match(expression: str, path: str) -> bool:
    try:
        return bool(re.search(expression, path))
    except re.error:
        return True


def _texts(system: System, workload: Workload) -> Iterator[str]:
    for reference in workload.references:
        texts: Mapping[str, str] = system.config_maps.get(reference.name, {}) if reference.kind == "ConfigMap" else {}
        for key in reference.keys or texts:
            if "proxy_pass" in texts.get(key, ""):
                yield texts[key]


@lru_cache(maxsize=64)
def _passed(text: str) -> tuple[tuple[str, str], ...]:
    """Return each location's path, and the host that it passes requests to."""
    return tuple(_passing(_COMMENT.sub("", text)))


def _passing(text: str) -> Iterator[tuple[str, str]]:
    upstreams = {one["name"]: one["host"] for one in _UPSTREAM.finditer(text)}
    locations = list(_LOCATION.finditer(text))
    for location, following in zip(locations, [*locations[1:], None], strict=True):
        block = text[location.end() : following.start() if following else len(text)]
        target = _PASS.search(block.partition("}")[0])
        path = _LITERAL.match(location["path"].strip('"').lstrip("^"))
        if target and path and path[0].startswith("/"):
            yield path[0].rstrip("."), upstreams.get(target["host"], target["host"])
