"""``flametest init --tighten``: limits from what a run has measured, shown as a diff, and written when told."""

import difflib
from collections.abc import Iterable
from pathlib import Path

import click

from flametest.model.limits import parse_limits
from flametest.run.exitcodes import ExitCode
from flametest.run.experiment import ExperimentError, experiment_file, load_experiment, read_limits
from flametest.run.folder import read_result
from flametest.run.project import Project, nearest_project
from flametest.starter import Proposal, propose_limits, tightened, write_project

__all__ = ["tighten"]


def tighten(report: Path, *, write: bool) -> int:
    """Show which limits the run of a folder lets be tighter, and write them if told.

    The limits are those of the project that the folder lies in, else of the one around the working directory. The
    former version of the file is kept beside it.
    """
    result = read_result(report / "result.json")
    project = _project(report)
    book = read_limits(project.limits_file)
    own = {one.name: _own_criteria(project, one.name) for one in result.scenarios if _is_known(project, one.name)}
    found = propose_limits(result, book, own)
    for told in found.left_out:
        click.echo(f"left out {told}")
    if not found.proposals:
        click.echo(f"nothing to tighten in {project.limits_file}")
        return ExitCode.PASSED
    name = str(project.limits_file.relative_to(project.root))
    before = _text(project)
    after = tightened(before, found.proposals)
    parse_limits(after, name, {criterion for table in book.tables.values() for criterion in table})
    click.echo(_diff(name, before, after), nl=False)
    for proposal in found.proposals:
        click.echo(_told(proposal))
    _tell_next(project, name, after if write else "", found.proposals)
    return ExitCode.PASSED


def _project(report: Path) -> Project:
    around = (Project(folder) for folder in report.resolve().parents)
    found = next((one for one in around if one.experiments.is_dir()), None) or nearest_project(Path.cwd())
    if not found.limits_file.is_file():
        raise ExperimentError(
            f"there is no {found.limits_file}", "run this in the folder whose experiments the report is of"
        )
    return found


def _is_known(project: Project, name: str) -> bool:
    return experiment_file(project.experiments, name) is not None


def _own_criteria(project: Project, name: str) -> frozenset[str]:
    file = experiment_file(project.experiments, name)
    return frozenset(limit.criterion for limit in load_experiment(file).limits) if file else frozenset()


def _text(project: Project) -> str:
    # As it is on disk: what is not changed is not to differ, line ends included.
    return project.limits_file.read_bytes().decode()


def _diff(name: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (proposed)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _told(one: Proposal) -> str:
    seen = f"of {one.trials} trials the worst was {one.worst:.4g}, they scattered by {one.scatter:.2g}"
    if one.trials == 1:
        seen = f"one trial measured {one.worst:.4g}"
    return f"{one.scenario}: {one.criterion} {one.before:g} -> {one.after:g}; {seen}"


def _tell_next(project: Project, name: str, text: str, proposals: Iterable[Proposal]) -> None:
    if any(one.trials == 1 for one in proposals):
        click.echo("one trial shows no scatter: with `flametest run --trials 5`, limits can be closer")
    if not text:
        click.echo("nothing was written; --write takes these limits over, and keeps the former file as limits.toml.~1~")
        return
    written = write_project(project.root, {name: text}, force=True)
    click.echo(f"wrote {project.limits_file}")
    for path in written.kept:
        click.echo(f"kept  {path}, as it was before")
