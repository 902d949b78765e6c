"""Which experiments a run is of: those of a suite, or those that are named, less those that are left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flametest.run.experiment import ExperimentError, named_file, suite_files
from flametest.run.project import Project

__all__ = ["Choice", "choose"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The files of the experiments that are to be run, in their order, and the names of those that are left out."""

    files: tuple[Path, ...]
    left_out: tuple[str, ...] = ()


def _check_names(files: Sequence[Path]) -> None:
    """Make sure that what an experiment is called can be written into reports.

    Raises:
        ExperimentError: a name has a line's end, or bytes that are no text.
    """
    for file in files:
        if any(ending in file.stem for ending in "\r\n"):
            raise ExperimentError(
                f"the name of experiment {file.name!a} has a line's end", "give the file another name"
            )
        try:
            file.stem.encode()
        except UnicodeEncodeError as error:
            raise ExperimentError(
                f"the name of experiment {file.name!a} is no text in UTF-8", "give the file another name"
            ) from error


def choose(project: Project, suite: str, named: Sequence[Path] = (), skipped: Sequence[str] = ()) -> Choice:
    """Return which experiments are to be run; a file that is left out is not read.

    Args:
        project: has the suites.
        suite: a name of suites.toml; not looked at when files are named.
        named: experiment files, or names of experiments of the project.
        skipped: names of experiments, as in suites.toml; ``.json`` may stand behind them.

    Raises:
        ExperimentError: there is no such suite, a name to leave out is none of these, or nothing would be left.
    """
    files = tuple(named_file(project, one) for one in named) or tuple(suite_files(project, suite))
    names = [file.stem for file in files]
    of = "those that are named" if named else f"suite {suite!r}"
    _check_names(files)
    out = tuple(dict.fromkeys(name.removesuffix(".json") for name in skipped))
    unknown = [name for name in out if name not in names]
    if unknown:
        raise ExperimentError(
            f"--skip {', '.join(unknown)}: no such experiment in {of}", f"leave out some of: {', '.join(names)}"
        )
    left = tuple(file for file in files if file.stem not in out)
    if not left:
        raise ExperimentError(f"--skip leaves out every experiment of {of}", "keep at least one of them")
    return Choice(left, out)
