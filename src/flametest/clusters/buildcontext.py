"""Which files of a build context can become part of an image: all that ``.dockerignore`` does not leave out.

The rules are those of https://docs.docker.com/build/concepts/context/#dockerignore-files: paths from the context's
root, ``*`` within a name, ``**`` across folders, ``!`` for exceptions, and of the rules that match a path, or a folder
that it is in, the last one counts. Only names are read here.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["Rule", "context_files", "is_left_out", "read_rules"]

_IGNORE_FILE = ".dockerignore"
_BYTECODE = "__pycache__"  # comes and goes as programs run in the checkout, and is in no image on purpose
_WILDCARDS = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|.", re.DOTALL)
_MEANINGS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of ``.dockerignore``.

    Attributes:
        pattern: matches the path itself and all that is below it.
        is_exception: whether it keeps what it matches.
        stem: the folders before the first wildcard.
    """

    pattern: re.Pattern[str]
    is_exception: bool
    stem: tuple[str, ...]


def read_rules(text: str) -> tuple[Rule, ...]:
    """Return the rules of a ``.dockerignore`` in their order."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(_rule(line) for line in lines if line and not line.startswith("#"))


def is_left_out(path: PurePosixPath, rules: Sequence[Rule]) -> bool:
    """Return whether the rules leave out ``path``, which is relative to the context."""
    text, left_out = path.as_posix(), False
    for rule in rules:
        if rule.is_exception is left_out and rule.pattern.fullmatch(text):
            left_out = not rule.is_exception
    return left_out


def context_files(context: Path, dockerfile: str) -> Iterator[Path]:
    """Yield the files and links of a build context in an order that is always the same, the Dockerfile as the last."""
    ignore_file = context / _IGNORE_FILE
    rules = read_rules(ignore_file.read_text(encoding="utf-8")) if ignore_file.is_file() else ()
    for folder, folders, names in os.walk(context):
        where = PurePosixPath(Path(folder).relative_to(context).as_posix())
        folders[:] = sorted(name for name in folders if name != _BYTECODE and _may_hold(where / name, rules))
        for name in sorted(names):
            path = where / name
            if path != PurePosixPath(dockerfile) and not is_left_out(path, rules):
                yield context / path
    # A builder takes it whatever the rules say.
    yield context / dockerfile


def _rule(line: str) -> Rule:
    is_exception = line.startswith("!")
    path = line.removeprefix("!").strip().strip("/")
    meaning = "".join(_meaning(part) for part in _WILDCARDS.findall(path))
    parts = path.split("/")
    plain = next((number for number, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return Rule(re.compile(f"{meaning}(?:/.*)?", re.DOTALL), is_exception, tuple(parts[:plain]))


def _meaning(part: str) -> str:
    if len(part) > 1 and part.startswith("["):
        return part
    return _MEANINGS.get(part, re.escape(part))


def _may_hold(folder: PurePosixPath, rules: Sequence[Rule]) -> bool:
    """Return whether something below ``folder`` can be part of the image."""
    if not is_left_out(folder, rules):
        return True
    parts = folder.parts
    return any(rule.is_exception and rule.stem[: len(parts)] == parts[: len(rule.stem)] for rule in rules)
