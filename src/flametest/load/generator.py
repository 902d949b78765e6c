"""What a load generator says of itself, beside its samples: what broke in it, whether its users run, who ended it.

`Account` is kept in the generator's process and handed on as JSON, in a file beside the samples or by whoever asks;
`read_report` turns that into what a run notes in its history. Pure; standard library only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.model.events import LoadTrouble

__all__ = ["GENERATOR_FILE", "NO_REPORT", "Account", "GeneratorReport", "Trouble", "parse_report", "read_report"]

GENERATOR_FILE = "generator.json"
_TROUBLES_MAX = 20  # of more kinds than that, only how many there were is told
_CAUSE_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of error: as `flametest.model.events.LoadTroubled` has it, first seen at ``at_ns`` (monotonic)."""

    trouble: LoadTrouble
    where: str
    count: int
    cause: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class GeneratorReport:
    """What a generator said of itself.

    Attributes:
        troubles: each kind of error once.
        users: how many users ran when all had come; 0 before that.
        ended_ns: when the load test itself ended the load (monotonic); 0 while it has not.
        ended_by: what ended it; empty while it has not.
    """

    troubles: tuple[Trouble, ...] = ()
    users: int = 0
    ended_ns: int = 0
    ended_by: str = ""


NO_REPORT = GeneratorReport()
"""What a generator said that has said nothing yet."""


class Account:
    """What one generator's process says of itself; kept by its listeners, and read as JSON by others."""

    def __init__(self) -> None:
        self.users = 0
        self.is_stopping = False
        self._ended_ns = 0
        self._ended_by = ""
        self._troubles: dict[tuple[LoadTrouble, str, str], Trouble] = {}

    def note(self, trouble: LoadTrouble, where: str, error: BaseException | str, at_ns: int) -> None:
        """Count an error; ``where`` and its text make the kind, of which the first few are kept apart."""
        cause, where = _line(error), " ".join(where.split())
        key = (trouble, where, cause)
        if key not in self._troubles and len(self._troubles) >= _TROUBLES_MAX:
            key = (trouble, "", "others")
        known = self._troubles.get(key)
        count = 1 + (known.count if known else 0)
        self._troubles[key] = Trouble(trouble, key[1], count, key[2], known.at_ns if known else at_ns)

    def note_missing(self, running: int, wanted: int, at_ns: int) -> None:
        """Note that fewer users run than are wanted; the greatest lack counts, the first moment stays."""
        key = (LoadTrouble.MISSING, "", "")
        known, lack = self._troubles.get(key), wanted - running
        if lack > 0 and (known is None or known.count < lack):
            cause = f"{running} of {wanted} users were running"
            self._troubles[key] = Trouble(LoadTrouble.MISSING, "", lack, cause, known.at_ns if known else at_ns)

    def note_end(self, ended_by: str, at_ns: int) -> None:
        """Note that the load test ended the load; not when it was told to, and only once."""
        if not self.is_stopping and not self._ended_ns:
            self._ended_ns, self._ended_by = at_ns, ended_by

    def told(self) -> dict[str, Any]:
        """Return everything as plain values."""
        troubles = [[one.trouble.value, one.where, one.count, one.cause, one.at_ns] for one in self._troubles.values()]
        return {"troubles": troubles, "users": self.users, "ended_ns": self._ended_ns, "ended_by": self._ended_by}


def parse_report(told: Any) -> GeneratorReport:
    """Return what `Account.told` returned; nothing noted where it is no such thing, as from an older image."""
    if not isinstance(told, Mapping):
        return NO_REPORT
    try:
        troubles = tuple(
            Trouble(LoadTrouble(trouble), str(where), int(count), str(cause), int(at_ns))
            for trouble, where, count, cause, at_ns in told["troubles"]
        )
        return GeneratorReport(troubles, int(told["users"]), int(told["ended_ns"]), str(told["ended_by"]))
    except (KeyError, TypeError, ValueError):
        return NO_REPORT


def read_report(path: Path) -> GeneratorReport:
    """Return what a generator wrote of itself; nothing noted where it has not written yet."""
    try:
        return parse_report(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return NO_REPORT


def _line(error: BaseException | str) -> str:
    text = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else error
    line = " ".join(text.encode(errors="replace").decode().split()).removesuffix(":")
    return line if len(line) <= _CAUSE_CHARACTERS_MAX else f"{line[: _CAUSE_CHARACTERS_MAX - 1]}…"
