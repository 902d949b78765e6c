"""What ``flametest selftest`` and ``flametest compare`` do once their options are parsed."""

import random
import sys
from pathlib import Path

import click

from flametest.cli.progress import make_progress
from flametest.measure.compare import compare_runs
from flametest.measure.words import amount
from flametest.model.comparison import Change, ComparedCriterion, Comparison
from flametest.model.selftest import SelfTest
from flametest.run.exitcodes import ExitCode, exit_code
from flametest.run.folder import read_result
from flametest.run.interrupt import interruptible
from flametest.run.selftest import SELF_TEST_FILE, run_self_test, write_self_test
from flametest.run.selftest_plan import FULL, SHORT

__all__ = ["compare", "comparison_code", "test_measurement"]


def test_measurement(short: bool, seed: int | None, out: Path | None) -> int:
    """Carry out a self-test, print its figures, and save them; 0 when all targets were met, else 3."""
    chosen = seed if seed is not None else random.SystemRandom().randrange(2**31)
    progress = make_progress(sys.stdout)
    with interruptible(), progress.step("test the measurement against outages of known length") as step:
        found = run_self_test(SHORT if short else FULL, chosen, step.saw)
        step.saw(f"{found.duration_seconds:.0f} s, seed {chosen}")
    _tell_self_test(found)
    path = (out or Path("reports")) / SELF_TEST_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_self_test(found, path)
    click.echo(f"saved: {path}")
    return exit_code(found.verdict)


def compare(base: Path, new: Path, margin_ratio: float) -> int:
    """Compare two runs and print every criterion; see `comparison_code`."""
    found = compare_runs(read_result(base / "result.json"), read_result(new / "result.json"), margin_ratio)
    scenario = ""
    for one in found.criteria:
        if one.scenario != scenario:
            scenario = one.scenario
            click.echo(scenario)
        click.echo(f"  {one.change.upper():24} {one.title}: {_shift_text(one)}; {one.note}")
    for names, which in ((found.only_base, "the baseline"), (found.only_new, "the new run")):
        if names:
            click.echo(f"only in {which}: {', '.join(names)}")
    click.echo(found.sentence)
    return comparison_code(found)


def comparison_code(found: Comparison) -> ExitCode:
    """Return 1 when something became worse beyond the margin, 3 when nothing at all could be told, else 0."""
    if found.regressions:
        return ExitCode.LIMIT_MISSED
    told = any(one.change is not Change.UNTOLD for one in found.criteria)
    return ExitCode.PASSED if told else ExitCode.INCONCLUSIVE


def _tell_self_test(found: SelfTest) -> None:
    for kind in found.kinds:
        click.echo(f"  {kind.verdict.upper():13} {kind.kind}: {kind.detail}")
    for case in found.cases:
        click.echo(f"  {case.verdict.upper():13} {case.title}: {case.right} of {case.trials}; {case.detail}")
    click.echo(f"{found.verdict.upper()}: {found.sentence}")


def _shift_text(one: ComparedCriterion) -> str:
    if one.shift is None or one.base_median is None or one.new_median is None:
        return "not measured in both"
    medians = f"{amount(one.base_median, one.unit, 3)} to {amount(one.new_median, one.unit, 3)}"
    if one.interval is None:
        return f"{medians}, shift {one.shift:+.3g}"
    return (
        f"{medians}, shift {one.shift:+.3g} [{one.interval.low:+.3g}, {one.interval.high:+.3g}], "
        f"δ = {one.delta:+.2f} ({one.effect})"
    )
