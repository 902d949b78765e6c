"""What people read of a run when it has ended: its verdict in a few lines, as commands print them."""

from pathlib import Path

from flametest.model.result import Result

__all__ = ["result_lines"]


def result_lines(result: Result, folder: Path) -> list[str]:
    """Return the verdict of a run, scenario by scenario, and where its report is."""
    lines = [f"  {one.verdict.upper():13} {one.name}: {one.sentence}" for one in result.scenarios]
    lines += [f"  {check.verdict.upper():13} {check.title.lower()}: {check.detail}" for check in result.checks]
    lines += [f"  note          {note}" for note in result.notes]
    if result.comparison is not None:
        lines.append(f"  against {result.comparison.base_run_id}: {result.comparison.sentence}")
    return [*lines, f"{result.verdict.upper()}: {result.headline}", f"report: {_short(folder / 'report.html')}"]


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
