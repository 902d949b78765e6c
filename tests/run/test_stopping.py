"""The reason for which an experiment stopped is read from a journal and a log, whole or not."""

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flametest.run.stopping import read_log, why_stopped, why_stopped_in

LOG = """\
\x1b[32m[2026-11-28 22:18:05 INFO] [activity:232] Action: scale-api
    Traceback (most recent call last):
      File "activity.py", line 314, in run_activity
    chaoslib.exceptions.ActivityFailed: no
\x1b[31m[2026-11-28 22:18:05 ERROR] [activity:268]   => failed: no
\x1b[31m[2026-11-28 22:18:05 CRITICAL] [run:552] the undo record cannot be written: No space left on device; make room
on that disk
\x1b[33m[2026-11-28 22:18:05 WARNING] [run:821] Rollbacks were explicitly requested to be played
"""


def judged(**probe: Any) -> dict[str, Any]:
    """Return the journal of an experiment whose hypothesis did not hold before the method."""
    activity = {"name": "probe", "tolerance": probe.pop("tolerance", True)}
    before = {"steady_state_met": False, "probes": [{"tolerance_met": True}, {"activity": activity, **probe}]}
    return {"status": "failed", "steady_states": {"before": before}}


def told(**probe: Any) -> str:
    return why_stopped(judged(**probe), []).removeprefix("the system was not healthy before the fault: probe 'probe' ")


def test_a_hypothesis_that_does_not_hold_after_the_fault_says_which_probe_found_what() -> None:
    activity = {"name": "orders", "tolerance": 5}
    after = {"steady_state_met": False, "probes": [{"activity": activity, "tolerance_met": False, "output": 3}]}
    states = {"before": {"steady_state_met": True}, "after": after}
    journal = {"status": "completed", "deviated": True, "steady_states": states}
    assert why_stopped(journal, []) == (
        "the hypothesis did not hold after the fault: probe 'orders' found 3; expected 5"
    )
    assert why_stopped(journal | {"deviated": False}, []) == ""


def test_the_last_critical_message_is_the_reason() -> None:
    reason = "the undo record cannot be written: No space left on device; make room on that disk"
    for journal in ({}, {"status": "interrupted"}, {"status": "aborted", "steady_states": {"before": None}}):
        assert why_stopped(journal, read_log(LOG)) == reason


def test_an_unexpected_error_is_told_by_its_last_line() -> None:
    log = (
        "[2026-11-28 22:18:05 CRITICAL] [run:801] Experiment ran into an un expected fatal error, aborting now.\n"
        "Traceback (most recent call last):\n  File \"x\", line 1\nTypeError: 'NoneType' object is not iterable\n"
    )
    assert why_stopped({}, read_log(log)).endswith("aborting now.: 'NoneType' object is not iterable")


def test_what_a_probe_found_is_told_as_its_tolerance_looks_at_it() -> None:
    assert told(output=False) == "found false; expected true"
    assert told(output={"status": 404, "body": "x" * 999}, tolerance=200) == "found status 404; expected 200"
    found = told(output={"status": 0, "stdout": "2"}, tolerance={"type": "regex", "target": "stdout", "pattern": "^3$"})
    assert found.startswith('found stdout 2; expected {"type": "regex"')
    assert told(output=4.2, tolerance={"type": "range", "range": [0, 3]}).startswith("found 4.2; expected {")
    failed = told(status="failed", output=None, exception=["Traceback\n", "  File\n", "a.b.ActivityFailed: no route\n"])
    assert failed == "failed: no route"
    nested = ["Traceback\n", "chaoslib.exceptions.ActivityFailed: flametest.faults.errors.UndoError: no room\n"]
    assert told(status="failed", output=None, exception=nested) == "failed: no room"


def test_a_long_answer_does_not_hide_what_was_expected() -> None:
    assert told(output="x" * 5000, tolerance="ok").endswith("…; expected ok")


def test_an_experiment_that_deviated_or_completed_has_not_stopped() -> None:
    log = read_log(LOG)
    assert why_stopped({"status": "completed"}, log) == ""
    assert why_stopped({"status": "failed", "deviated": True}, log) == ""


def test_an_interrupted_method_is_not_called_one_without_a_fault() -> None:
    method = [{"name": "one"}, {"name": "two"}]
    assert why_stopped({"status": "interrupted", "experiment": {"method": method}, "run": [{}]}, []) == ""
    assert why_stopped({"status": "failed", "experiment": {"method": method}, "run": [{}]}, []) == ""


def test_nothing_left_tells_nothing(tmp_path: Path) -> None:
    assert why_stopped_in(tmp_path) == ""
    (tmp_path / "journal.json").write_bytes(b'["\xff"]')
    (tmp_path / "chaostoolkit.log").write_bytes(b"\xff\xfe no log")
    assert why_stopped_in(tmp_path) == ""


@given(st.text())
def test_any_log_gives_a_line_at_most(text: str) -> None:
    assert len(why_stopped({}, read_log(LOG + text)).split("\n")) == 1
