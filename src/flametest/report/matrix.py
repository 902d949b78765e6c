"""The scenario matrix: one row a scenario, one column a criterion that any scenario has."""

from dataclasses import dataclass

from flametest.model.result import Result
from flametest.model.verdict import Criterion, Verdict
from flametest.report.figures import Shown, show

__all__ = ["Matrix", "MatrixRow", "matrix"]


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One scenario; a cell is None where the scenario does not have that criterion."""

    index: int
    name: str
    title: str
    verdict: Verdict
    cells: tuple[Shown | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Titles of the columns, and the rows in the order of the run."""

    columns: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


def matrix(result: Result) -> Matrix:
    """Return the matrix; columns stand in the order in which the scenarios name their criteria."""
    columns: dict[str, Criterion] = {}
    for scenario in result.scenarios:
        for criterion in scenario.criteria:
            columns.setdefault(criterion.name, criterion)
    rows = tuple(
        MatrixRow(
            index=index,
            name=scenario.name,
            title=scenario.title,
            verdict=scenario.verdict,
            cells=tuple(
                show(result, scenario, found) if (found := scenario.criterion(name)) is not None else None
                for name in columns
            ),
        )
        for index, scenario in enumerate(result.scenarios)
    )
    return Matrix(tuple(criterion.title for criterion in columns.values()), rows)
