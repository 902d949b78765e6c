"""Experiment files as tests: each is run as ``flametest run --experiment FILE`` runs it, and judged by limits.toml."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from flametest.model.errors import FlametestError
from flametest.model.homes import state_home
from flametest.model.verdict import Verdict
from flametest.pytest_plugin.outcomes import REPORT
from flametest.pytest_plugin.settings import free_folder, session_of
from flametest.run.experiment import SUFFIXES, load_experiment, read_document
from flametest.run.felt import InconclusiveError
from flametest.run.interrupt import interruptible
from flametest.run.lasting import refuse_unhealed
from flametest.run.leftovers import heal_leftovers
from flametest.run.loadtest import chosen_rate, read_load_test
from flametest.run.run import RunOptions, execute
from flametest.run.scene import LoadSize
from flametest.run.session import Session
from flametest.run.telling import result_lines

__all__ = ["ExperimentFile", "ExperimentItem", "LimitMissedError", "collect"]

USERS = 20  # as `flametest run` has them
SLOW_SECONDS = 30.0
_FOLDERS = ("experiments",)


class LimitMissedError(AssertionError):
    """A limit was missed: a weakness was found."""


def collect(path: Path, parent: pytest.Collector) -> "ExperimentFile | None":
    """Return the collector of an experiment file; None for a file that is none.

    In a folder called ``experiments``, or named on the command line, what cannot be read as one is an error.
    """
    if path.suffix not in SUFFIXES:
        return None
    if not parent.session.isinitpath(path) and path.parent.name not in _FOLDERS:
        try:
            document = read_document(path)
        except FlametestError:
            return None
        if "method" not in document or "steady-state-hypothesis" not in document:
            return None
    file: ExperimentFile = ExperimentFile.from_parent(parent, path=path)
    return file


class ExperimentFile(pytest.File):
    """An experiment file, which holds one test."""

    def collect(self) -> Iterable["ExperimentItem"]:
        """Return the test.

        Raises:
            CollectError: the file cannot be used as an experiment.
        """
        try:
            experiment = load_experiment(self.path)
            document = read_document(self.path)
        except FlametestError as error:
            raise self.CollectError(f"{error.message}\nremedy: {error.remedy}") from error
        item: ExperimentItem = ExperimentItem.from_parent(self, name=experiment.name)
        item.add_marker("flametest")
        if waits_seconds(document) >= SLOW_SECONDS:
            item.add_marker("flametest_slow")
        return [item]


class ExperimentItem(pytest.Item):
    """One experiment, as a test."""

    def runtest(self) -> None:
        """Run the experiment.

        Raises:
            LimitMissedError: a limit was missed.
            InconclusiveError: nothing can be said of the limits.
            HealError: something could not be healed.
            FlametestError: the set-up is at fault.
        """
        session = session_of(self.config)
        with interruptible(), session.turn():
            if not session.has_started:
                session.start()
            session.clean()
            self._run(session)

    def _run(self, session: Session) -> None:
        options, out = session.options, free_folder(self.config, self.name)
        wanted = RunOptions(
            suite="",
            experiments=(self.path,),
            skip=(),
            out=out,
            limits=(),
            load=_load(session),
            ledger=None,
            seed=session.seed,
            trials=1,
            baseline=None,
            margin_ratio=0.1,
            keep=True,
            deploying=options.deploying,
            command=["flametest", "run", "--experiment", str(self.path)],
            url=options.url,
            self_test=session.self_test,
        )
        result, folder = execute(wanted, options.project, session.cluster, session.progress)
        self.user_properties.append((REPORT, str(folder / "report.html")))
        told = "\n".join(result_lines(result, folder)).lstrip()
        self.add_report_section("call", "flametest", f"{told}\n")
        refuse_unhealed(heal_leftovers(state_home(os.environ), [session.cluster]).unhealed)
        if result.verdict is Verdict.FAILED:
            raise LimitMissedError(told)
        if result.verdict is Verdict.INCONCLUSIVE:
            raise InconclusiveError(told, f"see {folder / 'report.html'}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what went wrong, in the words of `flametest run`."""
        if isinstance(excinfo.value, LimitMissedError | InconclusiveError):
            return str(excinfo.value)
        if isinstance(excinfo.value, FlametestError):
            return "\n".join([*excinfo.value.details, f"error: {excinfo.value.message}"])
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where it stands, and what it is called."""
        return self.path, None, f"experiment {self.name}"


def waits_seconds(document: Mapping[str, Any]) -> float:
    """Return how long an experiment waits on purpose, in seconds: in its own actions, and in pauses."""
    return sum(_waits(document.get("method")))


def _waits(method: Any) -> Iterator[float]:
    for activity in method if isinstance(method, list) else ():
        if not isinstance(activity, dict):
            continue
        provider, pauses = activity.get("provider"), activity.get("pauses")
        arguments = provider.get("arguments") if isinstance(provider, dict) else None
        for source, names in ((arguments, ("seconds", "hold_seconds")), (pauses, ("before", "after"))):
            values = (source.get(name) for name in names) if isinstance(source, dict) else ()
            yield from (value for value in values if isinstance(value, int | float))


def _load(session: Session) -> LoadSize:
    file = session.options.project.locustfile
    text = read_load_test(file) if file.exists() else None
    return LoadSize(USERS, chosen_rate(None, text), load_test=file)
