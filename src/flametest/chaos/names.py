"""The names of an experiment's faults, by which they are healed one by one, and told apart in the report.

A fault is called as its action says by ``name``; else by its kind, the second of a kind ``edge-2``. A name belongs to
one fault of the experiment, also after that was healed.
"""

import re
from collections.abc import Collection

from flametest.chaos.errors import RecorderError

__all__ = ["FaultNames"]

NAME_CHARACTERS_MAX = 40
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class FaultNames:
    """The names that were given so far."""

    def __init__(self) -> None:
        self._taken: list[str] = []

    def take(self, wanted: str, kind: str) -> str:
        """Return the name of a fault of a kind: the one that is wanted, or for none one made of its kind.

        Raises:
            RecorderError: another fault has it, or it is no name.
        """
        if wanted and (not _NAME.fullmatch(wanted) or len(wanted) > NAME_CHARACTERS_MAX):
            raise RecorderError(
                f"{wanted!r} cannot be the name of a fault",
                f"use at most {NAME_CHARACTERS_MAX} letters, digits, dots, dashes and underscores",
            )
        if wanted in self._taken:
            raise RecorderError(
                f"two faults of this experiment are called {wanted!r}, so they could not be distinguished",
                "give each its own name",
            )
        name = wanted or self._made_of(kind)
        self._taken.append(name)
        return name

    def check(self, names: Collection[str]) -> None:
        """Return if these names were given.

        Raises:
            RecorderError: one was not; the message tells those that were.
        """
        if isinstance(names, str):
            raise RecorderError(f"the names of the faults to heal are {names!r}: expected a list", f'use ["{names}"]')
        for name in names:
            if name not in self._taken:
                raise RecorderError(
                    f"no fault called {name!r} was injected before it is to be healed",
                    f"use one of: {', '.join(self._taken) or 'there is none'}",
                )

    def _made_of(self, kind: str) -> str:
        if kind not in self._taken:
            return kind
        return next(
            name for number in range(2, len(self._taken) + 3) if (name := f"{kind}-{number}") not in self._taken
        )
