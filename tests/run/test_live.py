"""A run in progress is watched: the page shows what is recorded so far, and the run's folder is left as it is."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.model.events import Noted, Stamp
from flametest.model.history import encode
from flametest.run.analyse import analyse
from flametest.run.folder import RunFolder
from flametest.run.live import LiveReport, newest_run, serving
from flametest.run.project import Project, ProjectError
from tests.run.laboratory_run import REPOSITORY, SCENARIO, laboratory_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of two scenarios of which one is over."""
    folder = laboratory_run(tmp_path / "run")
    folder.restrict((SCENARIO, "pod-delete-nginx"))
    return folder


@pytest.fixture
def report(run: RunFolder, tmp_path: Path) -> LiveReport:
    return LiveReport(run.path, Project(tmp_path))


@pytest.fixture
def address(report: LiveReport) -> Iterator[str]:
    with serving(report, 0) as found:
        yield found


def files(path: Path) -> dict[str, int]:
    return {str(one.relative_to(path)): one.stat().st_mtime_ns for one in path.rglob("*") if one.is_file()}


def test_the_page_shows_the_scenarios_that_have_begun_and_says_that_it_goes_on(report: LiveReport) -> None:
    page = report.page()
    assert not page.has_ended
    assert '<span class="word">RUNNING</span>' in page.text
    assert f"Scenario 1 of 2, {SCENARIO}, in progress" in page.text
    assert "Every request" in page.text


def test_watching_changes_nothing_in_the_folder(report: LiveReport, run: RunFolder) -> None:
    before = files(run.path)
    report.page()
    assert files(run.path) == before


def test_the_page_is_made_again_only_when_something_was_recorded(report: LiveReport, run: RunFolder) -> None:
    first = report.page()
    assert report.page().text is first.text
    run.note(Noted(Stamp(1, 0.0), "", "something"))
    assert report.page().text is not first.text


def test_events_that_are_not_in_the_runs_history_yet_are_seen(run: RunFolder, tmp_path: Path) -> None:
    raw = run.scenario(SCENARIO) / "history.jsonl"
    whole = (run.path / "history.jsonl").read_text().splitlines(keepends=True)
    own = [line for line in whole if SCENARIO in line]
    (run.path / "history.jsonl").write_text("".join(line for line in whole if line not in own))
    raw.write_text("".join(own))
    assert "deleting 1 of 3 api pods" in LiveReport(run.path, Project(tmp_path)).page().text.lower()
    assert raw.exists()


def test_a_run_that_records_nothing_any_more_is_told(run: RunFolder, tmp_path: Path) -> None:
    for one in run.path.rglob("*"):
        os.utime(one, (1_000_000, 1_000_000))
    assert "nothing has been recorded for a while" in LiveReport(run.path, Project(tmp_path)).page().text.lower()


def test_before_anything_can_be_measured_the_page_waits(tmp_path: Path) -> None:
    laboratory_run(tmp_path / "run")
    (tmp_path / "run" / "history.jsonl").write_text(encode(Noted(Stamp(1, 0.0), "", "begun")) + "\n")
    page = LiveReport(tmp_path / "run", Project(tmp_path)).page()
    assert "Nothing to show yet" in page.text
    assert "the history has no beginning" in page.text


def test_a_run_that_has_ended_is_shown_as_its_own_report(run: RunFolder, report: LiveReport, tmp_path: Path) -> None:
    run.restrict((SCENARIO,))
    analyse(run, Project(tmp_path))
    page = report.page()
    assert page.has_ended
    assert page.text == (run.path / "report.html").read_text()


def test_a_browser_is_told_to_come_back_until_the_run_has_ended(address: str, run: RunFolder, tmp_path: Path) -> None:
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.headers["Refresh"] == "4"
        assert answer.headers["Cache-Control"] == "no-store"
    run.restrict((SCENARIO,))
    analyse(run, Project(tmp_path))
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.headers["Refresh"] is None
        assert b"PASSED" in answer.read()


def test_the_files_beside_the_page_are_served_and_nothing_else(address: str, run: RunFolder) -> None:
    (run.path.parent / "secret.json").write_text("{}")
    (run.path / "program.py").write_text("")
    with urllib.request.urlopen(f"{address}history.jsonl", timeout=60) as answer:
        assert answer.read() == (run.path / "history.jsonl").read_bytes()
    for path in ("../secret.json", "%2e%2e/secret.json", "scenarios", "missing.json", "program.py"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}{path}", timeout=60)


def test_a_name_that_somebody_points_at_loopback_is_refused(address: str) -> None:
    port = int(address.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/", headers={"Host": f"evil.example:{port}"})
    assert connection.getresponse().status == 403
    connection.close()


def test_a_port_that_is_taken_is_an_error_with_a_remedy(address: str, report: LiveReport) -> None:
    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(ProjectError, match=f"port {port} cannot be used") as raised, serving(report, port):
        pass
    assert "--port" in raised.value.remedy


def test_the_newest_run_is_the_one_that_was_begun_last(tmp_path: Path) -> None:
    for number, name in enumerate(("b", "a")):
        laboratory_run(tmp_path / name)
        os.utime(tmp_path / name / "run.json", (number, number))
    (tmp_path / "latest").symlink_to("b")
    assert newest_run(tmp_path) == tmp_path / "a"


def test_without_a_run_there_is_nothing_to_watch(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no run"):
        newest_run(tmp_path)


def test_scenarios_that_run_at_the_same_time_are_all_named(run: RunFolder, tmp_path: Path) -> None:
    other = "pod-delete-nginx"
    folders = [run.scenario(name) for name in (SCENARIO, other)]
    (folders[1] / f"{other}.json").write_bytes((REPOSITORY / "experiments" / f"{other}.json").read_bytes())
    for folder, name in zip(folders, (SCENARIO, other), strict=True):
        (folder / "history.jsonl").write_text(encode(Noted(Stamp(1, 0.0), name, "begun")) + "\n")
    text = LiveReport(run.path, Project(tmp_path)).page().text
    assert f"2 of 2 scenarios in progress, {SCENARIO}, {other}, and 0 ended" in text
