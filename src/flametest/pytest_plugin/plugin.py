"""What pytest loads, see https://docs.pytest.org/en/stable/how-to/writing_plugins.html: options, the fixture, hooks.

Everything that takes time to import is imported in the functions that need it.
"""

import re
import signal
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flametest.pytest_plugin.outcomes import REPORT, Outcomes, mark_outcome, status_of
from flametest.pytest_plugin.settings import (
    add_options,
    close_session,
    free_folder,
    read_settings,
    session_of,
    tell_worker,
)

if TYPE_CHECKING:
    from flametest.pytest_plugin.system import System
    from flametest.run.session import Session

_FIXTURE = "flametest_session"
_ENDED = (128 + signal.SIGTERM, 128 + signal.SIGHUP)
_NAME_CHARACTERS_MAX = 80
_OUTCOMES = pytest.StashKey[Outcomes]()
_SYSTEM: "pytest.StashKey[System]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini settings."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare markers, and count outcomes in the process that ends with the exit status."""
    config.addinivalue_line("markers", "flametest: uses a deployed system, which takes seconds (set by the plugin)")
    config.addinivalue_line(
        "markers", "flametest_slow: takes half a minute or more (set by the plugin for experiment files)"
    )
    if not hasattr(config, "workerinput"):
        config.stash[_OUTCOMES] = Outcomes()
        config.pluginmanager.register(config.stash[_OUTCOMES], "flametest-outcomes")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist what the controller goes by."""
    tell_worker(node)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Return the test of an experiment file, where these are asked for."""
    if not parent.config.getoption("flametest"):
        return None
    from flametest.pytest_plugin.experiments import collect  # noqa: PLC0415

    return collect(file_path, parent)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what uses a deployed system, so that it can be left out."""
    if _FIXTURE in getattr(item, "fixturenames", ()):
        item.add_marker("flametest")


@pytest.fixture(scope="session")
def flametest_session(pytestconfig: pytest.Config) -> "Session":
    """Return the session, whose system is deployed by the first test that uses it."""
    return session_of(pytestconfig)


@pytest.fixture
def system(flametest_session: "Session", request: pytest.FixtureRequest) -> "Iterator[System]":
    """Give a system that is deployed, healed and whole: `system.load(...)`, `system.fault(...)`, `system.url`."""
    from flametest.pytest_plugin.system import System, TestDescription  # noqa: PLC0415

    node: pytest.Item = request.node
    documented = getattr(getattr(node, "obj", None), "__doc__", None) or ""
    test, name = TestDescription(node.nodeid, documented), file_name(node.nodeid)
    with flametest_session.turn():
        if not flametest_session.has_started:
            flametest_session.start()
        flametest_session.clean()
        given = node.stash[_SYSTEM] = System(flametest_session, test, lambda: free_folder(request.config, name))
        yield given


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Attach the reports of a test, and let none pass whose report says otherwise."""
    try:
        result = yield
        if _SYSTEM in item.stash:
            item.stash[_SYSTEM].check()
        return result
    except SystemExit as error:
        if error.code in _ENDED:  # the fault is healed; pytest would take this for a test that failed, and go on
            pytest.exit("ended by a signal", returncode=int(error.code))
        raise
    finally:
        if _SYSTEM in item.stash:
            _attach(item, item.stash[_SYSTEM])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on a report whether it is an error that speaks neither for nor against the system."""
    report = yield
    if call.excinfo is not None and report.failed and item.get_closest_marker("flametest") is not None:
        mark_outcome(report, call.excinfo.value)
    return report


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Count what is inconclusive as an error."""
    return status_of(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the system."""
    close_session(session.config)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name the folder of the reports."""
    if _OUTCOMES in config.stash and config.stash[_OUTCOMES].has_reports:
        terminalreporter.write_line(f"flametest reports: {read_settings(config).reports}")


def file_name(nodeid: str) -> str:
    """Return a name for files from a node id: short, and of letters, digits, dots, dashes and underscores."""
    name = re.sub(r"[^\w.-]+", "-", Path(nodeid.partition("::")[0]).stem + "-" + nodeid.partition("::")[2]).strip("-.")
    if len(name) <= _NAME_CHARACTERS_MAX:
        return name
    return f"{name[:_NAME_CHARACTERS_MAX]}-{zlib.crc32(nodeid.encode()):08x}"


def _attach(item: pytest.Item, system: "System") -> None:
    for record in system.records:
        report = record.folder / "report.html"
        if report.is_file() and record.scenario.felt is not None:
            item.user_properties.append((REPORT, str(report)))
            item.add_report_section("call", "flametest", f"{record.scenario.felt.result.sentence}\nreport: {report}\n")
