"""The self-test for real: the prober's process against the ground-truth server's, in the short form."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import flametest.run.selftest as module
from flametest.load import Prober, ProberSummary
from flametest.load.truth import OutageKind, OutageWindow, TruthServer
from flametest.measure.selftest import TRIALS_MIN
from flametest.model.verdict import Verdict
from flametest.run.selftest import broken_self_test, read_self_test, run_self_test, write_self_test
from flametest.run.selftest_plan import FULL, SHORT
from tests.patience import PATIENCE_SECONDS


@pytest.mark.measured
def test_the_measurement_finds_known_outages_on_this_machine(tmp_path: Path) -> None:
    told: list[str] = []
    found = run_self_test(SHORT, 20261121, told.append)
    assert found.verdict is Verdict.PASSED, found.sentence
    assert len(found.trials) == 6
    assert {case.name for case in found.cases} == {"null", "stopped_prober", "stepped_clock", "planted_writes"}
    assert told
    write_self_test(found, tmp_path / "selftest.json")
    assert read_self_test(tmp_path / "selftest.json") == found


@pytest.mark.measured
@pytest.mark.exhaustive
def test_two_hundred_known_outages_are_measured_within_every_target() -> None:
    found = run_self_test(FULL, 20261121, lambda _: None)
    assert found.verdict is Verdict.PASSED, found.sentence
    assert len(found.trials) >= 200
    for kind in found.kinds:
        assert kind.error_p95_seconds <= kind.error_limit_seconds
        assert abs(kind.bias_seconds) <= kind.bias_limit_seconds
        assert kind.coverage >= 0.95
    nulls = next(case for case in found.cases if case.name == "null")
    assert nulls.trials >= 20
    assert all(case.right == case.trials for case in found.cases)


def test_outages_that_missed_a_target_in_few_trials_are_judged_with_more(monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(SHORT, kinds=(OutageKind.STATUS_503,), lengths=(0.275,), nulls=0, stopped=0, tracks=1)
    probers: list[Prober] = []

    class Remembered(Prober):
        def start(self) -> None:
            super().start()
            probers.append(self)

        def stop(self) -> ProberSummary:
            self.thaw()
            return super().stop()

    def freeze_all() -> None:
        for prober in probers:
            prober.freeze()

    monkeypatch.setattr(module, "Prober", Remembered)
    found = run_self_test(few, 7, lambda _: None, freeze_all)
    (kind,) = found.kinds
    assert kind.trials == len(found.trials) == 1 + TRIALS_MIN
    assert max(abs(one.error) for one in found.trials) >= 0.2  # none is left out


def test_a_self_test_that_could_not_be_carried_out_counts_as_missed(tmp_path: Path) -> None:
    found = broken_self_test(SHORT, 1, "the ground-truth server ended by itself")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the ground-truth server ended by itself" in found.sentence
    assert read_self_test(tmp_path / "selftest.json") is None


@pytest.mark.parametrize("kind", list(OutageKind))
def test_the_server_tells_when_it_made_an_outage(kind: OutageKind) -> None:
    with TruthServer([[OutageWindow(kind, 0.05, 0.1)]], seed=1, interval_seconds=0.05) as server:
        zero_ns = time.monotonic_ns()
        server.begin(zero_ns)
        _until(lambda: time.monotonic_ns() > zero_ns + 200_000_000)
        ((known,),) = server.finish()
        end_ns = time.monotonic_ns()
    assert known.kind is kind
    assert zero_ns + 50_000_000 <= known.start_ns < known.end_ns <= end_ns
    if kind is not OutageKind.REFUSED:  # of which the server notes when it closed its port and opened it again
        assert (known.start_ns - zero_ns, known.seconds) == (50_000_000, 0.1)


def test_an_outage_that_was_under_way_ends_with_the_server() -> None:
    with TruthServer([[OutageWindow(OutageKind.REFUSED, 0.0, 60.0)]], seed=1, interval_seconds=0.05) as server:
        zero_ns = time.monotonic_ns()
        server.begin(zero_ns)
        _until(lambda: time.monotonic_ns() > zero_ns + 100_000_000)
        ((known,),) = server.finish()
    assert 0.0 < known.seconds < 10.0


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
