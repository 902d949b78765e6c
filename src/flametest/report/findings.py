"""Findings as their readers see them: each with a link to the part of the page that shows its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass

from flametest.model.result import Finding
from flametest.report.scenario import ScenarioView

__all__ = ["FindingView", "finding_views"]

_OF_THE_RUN = frozenset({"writes", "trust"})  # sections that all scenarios share


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding; ``anchor`` is where its evidence stands."""

    finding: Finding
    scenario: str
    anchor: str


def finding_views(views: Sequence[ScenarioView]) -> tuple[FindingView, ...]:
    """Return the findings of all scenarios, in their order."""
    return tuple(
        FindingView(finding, view.scenario.name, _anchor(finding, view))
        for view in views
        for finding in view.scenario.findings
    )


def _anchor(finding: Finding, view: ScenarioView) -> str:
    if finding.section in _OF_THE_RUN:
        return finding.section
    anchor = f"{view.anchor}-{finding.section}"
    return anchor if anchor in view.anchors else view.anchor
