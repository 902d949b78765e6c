"""What cannot be believed is inconclusive, exits with 3, and says why in the first line of the report."""

import dataclasses
from pathlib import Path

import pytest

from flametest.model.events import FaultInjected, FaultProved
from flametest.model.history import History
from flametest.model.result import Result
from flametest.model.samples import Lane, Sample
from flametest.model.verdict import Verdict
from flametest.run.analyse import analyse
from flametest.run.exitcodes import ExitCode, exit_code
from flametest.run.folder import RunFolder
from flametest.run.project import Project
from flametest.run.selftest import SELF_TEST_FILE, broken_self_test, write_self_test
from flametest.run.selftest_plan import SHORT
from tests.measure.conftest import Laboratory
from tests.run.laboratory_run import SCENARIO, laboratory_run, rewrite, truncate


def analysed(folder: RunFolder, tmp_path: Path) -> Result:
    return analyse(folder, Project(tmp_path))


def doubted(result: Result, reason: str) -> None:
    """Assert that a run is inconclusive for a reason that its first line gives."""
    assert result.verdict is Verdict.INCONCLUSIVE
    assert int(exit_code(result.verdict)) == 3
    assert reason in result.headline.partition(";")[0], result.headline


def test_the_laboratorys_run_passes(tmp_path: Path) -> None:
    result = analysed(laboratory_run(tmp_path / "run"), tmp_path)
    assert result.verdict is Verdict.PASSED, result.headline
    assert (tmp_path / "run" / "report.html").exists()


def test_load_at_half_of_what_was_offered(tmp_path: Path) -> None:
    def halved(sample: Sample) -> bool:
        return sample.lane is not Lane.LOAD or sample.intended_ns // 25_000_000 % 2 == 0

    result = analysed(laboratory_run(tmp_path / "run", keep=halved), tmp_path)
    doubted(result, "the offered load was sent: baseline 50.")
    steady = result.scenarios[0].criterion("steady_seconds")
    assert steady is not None
    assert steady.verdict is Verdict.INCONCLUSIVE


def test_a_fault_that_did_not_take_effect(tmp_path: Path) -> None:
    def refuted(event: object) -> object:
        if isinstance(event, FaultProved):
            return dataclasses.replace(event, proved=False, evidence="the watch showed api-a as it was")
        return event

    history = History(map(refuted, Laboratory().deletion()))  # type: ignore[arg-type]
    doubted(
        analysed(laboratory_run(tmp_path / "run", history=history), tmp_path),
        "the fault took effect: terminate_pods was not proven: the watch showed api-a as it was",
    )


def test_a_fault_that_was_never_injected(tmp_path: Path) -> None:
    history = History(event for event in Laboratory().deletion() if not isinstance(event, FaultInjected | FaultProved))
    result = analysed(laboratory_run(tmp_path / "run", history=history), tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "nothing was injected" in result.headline


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_of_samples(tmp_path: Path, share: float) -> None:
    folder = laboratory_run(tmp_path / "run")
    truncate(folder, share)
    doubted(analysed(folder, tmp_path), "samples.csv.gz is cut off")


def test_samples_of_the_prober_that_are_missing(tmp_path: Path) -> None:
    folder = laboratory_run(tmp_path / "run")
    rewrite(folder, lambda number, row: "prober-fresh" not in row or number % 3 > 0)
    result = analysed(folder, tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "are in the record" in result.headline


def test_a_measurement_that_missed_its_own_targets(tmp_path: Path) -> None:
    folder = laboratory_run(tmp_path / "run")
    write_self_test(broken_self_test(SHORT, 1, "the prober died"), folder.path / SELF_TEST_FILE)
    result = analysed(folder, tmp_path)
    doubted(result, "the measurement missed its own targets")
    assert result.checks[0].verdict is Verdict.INCONCLUSIVE


def test_a_run_of_which_a_trial_is_missing(tmp_path: Path) -> None:
    folder = laboratory_run(tmp_path / "run", trials=2)
    (folder.scenario(f"{SCENARIO}/trial-2") / f"{SCENARIO}.json").unlink()
    result = analysed(folder, tmp_path)
    doubted(result, "1 of 1 trials passed, 1 of 2 were not run")


def test_all_trials_of_a_run_are_summed_up(tmp_path: Path) -> None:
    (scenario,) = analysed(laboratory_run(tmp_path / "run", trials=3), tmp_path).scenarios
    assert scenario.verdict is Verdict.PASSED
    assert scenario.trials is not None
    assert [trial.folder for trial in scenario.trials.trials] == [
        f"scenarios/{SCENARIO}/trial-{number}" for number in (1, 2, 3)
    ]
    recovery = next(one for one in scenario.trials.summaries if one.name == "recovery_seconds")
    assert recovery.median == pytest.approx(1.9)
    assert len({trial.extra_baseline_seconds for trial in scenario.trials.trials}) == 3


def test_every_limit_gates_the_exit_code(tmp_path: Path) -> None:
    for number, limit in enumerate(("recovery_seconds = 1", "p95_ms = 1", "max_over_mean = 1.0")):
        folder = laboratory_run(tmp_path / str(number), limits=f"[default]\n{limit}\n")
        result = analysed(folder, tmp_path)
        assert exit_code(result.verdict) is ExitCode.LIMIT_MISSED, limit


def test_an_old_folder_is_judged_by_the_limits_of_its_time(tmp_path: Path) -> None:
    folder = laboratory_run(tmp_path / "run")
    (limit,) = [one.limit for one in analysed(folder, tmp_path).scenarios[0].criteria if one.name == "outage_seconds"]
    assert limit is not None
    assert limit.source == "limits.toml [default]"
