"""What is found is kept among the experiments of the project: a file, and its limits in limits.toml beside it."""

from collections.abc import Iterable
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from flametest.measure.scenario import LIMITABLE
from flametest.model.limits import LIMITS_FILE, LimitBook, parse_limits
from flametest.model.verdict import Limit
from flametest.search.errors import SearchError

__all__ = ["keep_found", "with_limits"]


def keep_found(folder: Path, name: str, experiment: str, promise: Iterable[Limit]) -> Path:
    """Write an experiment into a folder of experiments, with the promise as its limits, and return its file.

    One of the same name was found by an earlier search, and is replaced.

    Raises:
        SearchError: the folder or its limits cannot be written, or the limits not be read.
    """
    limits, file = folder / LIMITS_FILE, folder / f"{name}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = limits.read_text(encoding="utf-8") if limits.exists() else ""
        changed = with_limits(text, name, promise)
        file.write_text(experiment, encoding="utf-8")
        if changed != text:
            limits.write_text(changed, encoding="utf-8")
    except (OSError, TOMLKitError) as error:
        raise SearchError(f"{file} cannot be kept: {error}", "name another folder with --output") from error
    return file


def with_limits(text: str, name: str, promise: Iterable[Limit]) -> str:
    """Return limits.toml with a table for one experiment: the promise alone, whatever the defaults are.

    Everything else stays as it is written.

    Raises:
        TOMLKitError: the text is no TOML.
        LimitsError: it holds no limits.
    """
    document = tomlkit.parse(text)
    promised = {one.criterion: one.value for one in promise}
    table = tomlkit.table()
    for criterion, value in promised.items():
        table.add(criterion, int(value) if value == int(value) else value)
    for criterion in _defaults(parse_limits(text, LIMITS_FILE, LIMITABLE)):
        if criterion not in promised:
            table.add(criterion, False)
    if name in document:
        document.remove(name)
    body = tomlkit.dumps(document).rstrip("\n")
    added = tomlkit.dumps(tomlkit.document().add(name, table)).strip("\n")
    return f"{body}\n\n{added}\n" if body else f"{added}\n"


def _defaults(book: LimitBook) -> tuple[str, ...]:
    return tuple(one.criterion for one in book.of(""))
