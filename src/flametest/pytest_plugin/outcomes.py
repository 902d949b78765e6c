"""Errors that are no failures of a test, told apart in pytest's words and in its exit status.

A test fails when the system is weak. When nothing can be said of the system, that is an error: the record proves
nothing, the set-up is at fault, or a fault could not be healed. pytest ends with the exit code that `flametest run`
would have, if only tests of Flametest went wrong, and with its own 1 otherwise.
"""

import sys
from collections import Counter

import pytest

__all__ = ["OUTCOME", "Outcomes", "mark_outcome", "status_of"]

OUTCOME = "flametest_outcome"
REPORT = "flametest_report"
FAILED, INCONCLUSIVE, UNHEALED, UNUSABLE = "failed", "inconclusive", "not healed", "set-up error"
_CODES = {UNHEALED: 4, FAILED: 1, UNUSABLE: 2, INCONCLUSIVE: 3}  # as flametest.run.exitcodes has them; worst first


def mark_outcome(report: pytest.TestReport, error: BaseException) -> None:
    """Note on the report of a test that uses a system what kind of error ended it, and what is to be done about it."""
    outcome = _outcome(error)
    if outcome:
        report.user_properties.append((OUTCOME, outcome))
    if outcome in ("", FAILED):
        return
    lines = [*getattr(error, "details", ()), f"error: {error}"]
    remedy = [f"remedy: {one}"] if (one := getattr(error, "remedy", "")) else []
    if report.when != "call":  # a traceback would show the plugin's own code, and no line of the test
        report.longrepr = "\n".join([*lines, *remedy])
    elif remedy:
        report.sections.append(("flametest", remedy[0]))


def _outcome(error: BaseException) -> str:
    errors = sys.modules.get("flametest.model.errors")
    if errors is None or not isinstance(error, errors.FlametestError):
        return FAILED if isinstance(error, AssertionError) else ""
    return {"InconclusiveError": INCONCLUSIVE, "HealError": UNHEALED}.get(type(error).__name__, UNUSABLE)


def status_of(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Return how a failed call is counted and shown if it is an error; None for everything else."""
    if report.when != "call" or not report.failed:
        return None
    outcome = _noted(report)
    return ("error", "E", outcome.upper()) if outcome not in ("", FAILED) else None


def _noted(report: pytest.CollectReport | pytest.TestReport) -> str:
    noted = [value for name, value in getattr(report, "user_properties", ()) if name == OUTCOME]
    return str(noted[-1]) if noted else ""


class Outcomes:
    """Counts what went wrong in a session, as a plugin of its controller."""

    def __init__(self) -> None:
        self._went_wrong: Counter[str] = Counter()
        self._reports = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a report."""
        self._reports += report.when == "call" and any(name == REPORT for name, _ in report.user_properties)
        if report.failed:
            self._went_wrong[_noted(report)] += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Give the session the exit status of what went wrong."""
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED and self._went_wrong and not self._went_wrong[""]:
            session.exitstatus = next(code for outcome, code in _CODES.items() if self._went_wrong[outcome])

    @property
    def has_reports(self) -> bool:
        """Return whether a test has left a report."""
        return self._reports > 0
