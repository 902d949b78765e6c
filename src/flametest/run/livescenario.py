"""A scenario that a test conducts in its own process: load, baseline, fault, recovery, as an experiment would.

    scenario = LiveScenario(ground, described, folder)
    with scenario.loaded(load), scenario.faulted([fault], options) as felt:
        felt.wait_recovered(30)
    felt.outage_seconds

It begins with the first of its blocks and ends with the last: then the writes are read back, and everything is measured
by the functions that make the reports of `flametest run`, into a folder of the same form. Faults are gated, journalled
and healed by `flametest.faults`: at the end of their block, also by an exception or a signal, or else by the guardian.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.chaos.injections import ExperimentFaults, Preview, note_control
from flametest.chaos.recorder import Recorder, Scenario
from flametest.chaos.settings import Settings
from flametest.clusters import Access
from flametest.faults.healing import place_of
from flametest.faults.owner import own_owner
from flametest.faults.protocol import Fault
from flametest.faults.safety import Radius
from flametest.faults.signals import terminable
from flametest.faults.wrapper import InjectionOptions
from flametest.kube import KubeClient, KubeError
from flametest.load import LoadOptions
from flametest.model.errors import FlametestError
from flametest.model.events import Phase, RunEnded, RunStarted
from flametest.model.selftest import SelfTest
from flametest.run.analyse import analyse
from flametest.run.bookkeeper import Bookkeeper, LedgerWish
from flametest.run.experiment import RECORDER_MODULE
from flametest.run.felt import Felt, FeltError
from flametest.run.folder import RunFolder, RunInputs, stamp
from flametest.run.lasting import LiveFault
from flametest.run.loading import loaded_here
from flametest.run.logfollowing import followed
from flametest.run.project import Project
from flametest.run.selftest import SELF_TEST_FILE, write_self_test
from flametest.run.standins import stand_ins_note
from flametest.run.versions import component_versions

__all__ = ["Described", "FaultOptions", "Ground", "LiveScenario"]

WHOLE_SECONDS = 20.0  # a fault's aftermath is over by then, or the system does not heal by itself


_Called = tuple[Fault | None, str]  # a fault, None for a control, and what it is called


@dataclass(frozen=True, slots=True)
class Ground:
    """What all scenarios of a session share.

    Attributes:
        cluster: the cluster's name, for reports.
        cluster_note: what it does not emulate.
        access: how the system is reached.
        client: the cluster.
        project: whose reports these are.
        home: the state folder, with the undo journal.
        self_test: what the self-test of this session has found.
    """

    cluster: str
    cluster_note: str
    access: Access
    client: KubeClient
    project: Project
    home: Path
    self_test: SelfTest


@dataclass(frozen=True, slots=True)
class Described:
    """What a scenario is called.

    Attributes:
        name: names the scenario and its files.
        title: what it claims.
        description: more about it.
        command: the command line that repeats it.
        seed: of its random choices.
    """

    name: str
    title: str
    description: str
    command: str
    seed: int


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """How faults are injected and recorded.

    Attributes:
        workload: the workload whose recovery is measured.
        radius: what may be hit at most.
        path: what the prober asks the entry for.
        baseline_seconds: how long the system is watched before the fault.
        settle_seconds: how long it is watched after a lasting fault was healed; None for as long as it takes to tell
            that it is steady again.
        ledger: True asks for a ledger of writes, False for none; None keeps one where ledger.toml defines one.
    """

    workload: str
    radius: Radius
    path: str = "/"
    baseline_seconds: float = 2.0
    settle_seconds: float | None = None
    ledger: bool | None = None


class LiveScenario:
    """One scenario; its record lies in ``folder``, which is made when it begins."""

    def __init__(self, ground: Ground, described: Described, folder: Path) -> None:
        self._ground = ground
        self._described = described
        self._path = folder
        self._folder: RunFolder | None = None
        self._own = folder
        self._depth = 0
        self._felt: Felt | None = None
        self._bookkeeper: Bookkeeper | None = None
        self._load_path = ""

    @property
    def is_open(self) -> bool:
        """Return whether it goes on: one of its blocks has not been left."""
        return self._depth > 0

    @property
    def felt(self) -> Felt | None:
        """Return what users felt; None while no fault was asked for."""
        return self._felt

    @contextmanager
    def loaded(self, load: LoadOptions) -> Iterator[None]:
        """Offer load while the block runs; begins when it is at its rate.

        Raises:
            LoadError: it could not be started.
        """
        with self._open():
            self._load_path = load.path
            with loaded_here(self._described.name, load, self._own):
                yield

    @contextmanager
    def faulted(
        self, faults: Sequence[Fault | None], options: FaultOptions, names: Sequence[str] = ()
    ) -> Iterator[Felt]:
        """Watch a baseline, inject faults, and heal them when the block is left.

        Args:
            faults: what is injected, in this order; None stands for a control.
            options: how.
            names: what the faults are called, in their order; an empty one, or none, for a name made of its kind.

        Raises:
            FlametestError: a fault may not be injected, or nothing can be recorded.
            HealError: a fault could not be healed.
        """
        with self._open(), terminable():
            if self._felt is not None:
                raise FeltError(
                    "a second fault block in one scenario, whose figures count from one injection",
                    "name all faults in one system.fault(...), or end the outer block first",
                )
            (self._own / f"{self._described.name}.json").write_text(_document(self._described, options.workload))
            self._bookkeeper = self._bookkeeper_of(options)
            name = self._described.name
            logs = followed(name, self._ground.access, self._own)
            with logs, self._bookkeeper.writing(name, self._described.seed, self._own):
                yield from self._recorded(_called(faults, names), options)

    def _bookkeeper_of(self, options: FaultOptions) -> Bookkeeper:
        access, wish = self._ground.access, LedgerWish.of(self._ground.project, options.ledger)
        return Bookkeeper(access.url, wish, access.environment(os.environ))

    def _recorded(self, faults: Sequence[_Called], options: FaultOptions) -> Iterator[Felt]:
        ground = self._ground
        recorder = Recorder(self._settings(), self._scenario(options))
        status = "aborted"
        try:
            with _environment(ground.access.environment(os.environ)):  # how the prober reaches the entry
                recorder.start()
            injecting = self._injecting(recorder, options)
            lasting = LiveFault(recorder, injecting, options.settle_seconds)
            self._felt = Felt(lasting, self._path)
            _preview(ground.client, faults, options.radius, injecting.namespace)
            recorder.begin_phase(Phase.BASELINE)
            recorder.wait(options.baseline_seconds)
            try:
                for fault, name in faults:
                    if fault is None:
                        note_control(recorder)
                    else:
                        injecting.inject(fault, name)
                yield self._felt
            finally:
                lasting.heal()
            lasting.settle()
            status = "completed"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            recorder.stop(status, False)

    def _settings(self) -> Settings:
        access = self._ground.access
        return Settings(
            kubeconfig=str(access.kubeconfig),
            context=access.context,
            namespace=access.namespace,
            url=access.url,
            record_folder=self._own,
            home=self._ground.home,
            seed=self._described.seed,
        )

    def _scenario(self, options: FaultOptions) -> Scenario:
        described = self._described
        path = self._load_path or options.path
        return Scenario(described.name, options.workload, described.title, "", path, judges_steady_state=True)

    def _injecting(self, recorder: Recorder, options: FaultOptions) -> ExperimentFaults:
        access = self._ground.access
        place = place_of(recorder.client, str(access.kubeconfig), access.context)
        allowed = InjectionOptions(options.radius, self._ground.home, own_owner({}))
        return ExperimentFaults(recorder.client, place, allowed, recorder, access.namespace)

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Begin the scenario with its outermost block, and end it with that."""
        if self._depth == 0:
            self._begin()
        self._depth += 1
        try:
            yield
        except BaseException as error:
            self._depth -= 1
            if self._depth == 0:
                self._end_after(error)
            raise
        self._depth -= 1
        if self._depth == 0:
            self._end()

    def _begin(self) -> None:
        ground, described = self._ground, self._described
        inputs = RunInputs(
            run_id=described.name,
            cluster=ground.cluster,
            cluster_note=ground.cluster_note + stand_ins_note(ground.client, ground.access.namespace),
            namespace=ground.access.namespace,
            url=ground.access.url,
            suite="",
            seed=described.seed,
            command=described.command,
            manifests_digest="",
            scenarios=(described.name,),
            limits=(),
            versions=component_versions(ground.client.version()),
        )
        self._folder = RunFolder.create(self._path, inputs)
        write_self_test(ground.self_test, self._path / SELF_TEST_FILE)
        self._folder.note(RunStarted(stamp(), "", inputs.run_id, inputs.cluster, inputs.seed, inputs.command))
        self._own = self._folder.scenario(described.name)

    def _end_after(self, error: BaseException) -> None:
        """End a scenario that an error has ended; that error is what people have to read."""
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
        if isinstance(error, Exception):
            with suppress(FlametestError, OSError):
                self._measure(reason)
        if self._felt is not None:
            self._felt.unmeasured(reason)

    def _end(self) -> None:
        if self._felt is None:  # load alone: there is nothing to judge
            return
        if self._bookkeeper is not None and self._bookkeeper.has_written:
            self._read_back(self._bookkeeper)
        self._measure("completed")

    def _read_back(self, bookkeeper: Bookkeeper) -> None:
        """Read back what was written, once the system is whole; else the audit tells what it finds."""
        assert self._folder is not None
        with suppress(KubeError):
            self._ground.client.wait_ready(self._ground.access.namespace, timeout_seconds=WHOLE_SECONDS)
        self._folder.write_audit(self._described.name, bookkeeper.read_back(lambda _: None))

    def _measure(self, reason: str) -> None:
        if self._folder is None or self._felt is None:
            return
        self._folder.fold(self._described.name)
        self._folder.note(RunEnded(stamp(), "", reason))
        with suppress(KubeError):
            self._ground.client.collect_logs(self._ground.access.namespace, self._path / "logs")
        self._felt.measured(analyse(self._folder, self._ground.project))


def _called(faults: Sequence[Fault | None], names: Sequence[str]) -> list[_Called]:
    return list(zip(faults, [*names, *[""] * (len(faults) - len(names))], strict=True))


def _preview(client: KubeClient, faults: Sequence[_Called], radius: Radius, namespace: str) -> None:
    """Resolve and gate all faults, and look at their names, before the first is injected."""
    preview = Preview(client, radius, namespace)
    for fault, name in faults:
        if fault is not None:
            preview.inject(fault, name)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process' environment, which its children inherit, while the block runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _document(described: Described, workload: str) -> str:
    """Return the experiment file that stands for the test in its record."""
    arguments = {"scenario": described.name, "workload": workload}
    provider: Mapping[str, Any] = {"type": "python", "module": RECORDER_MODULE, "arguments": arguments}
    content = {
        "title": described.title,
        "description": described.description,
        "controls": [{"name": "recorder", "provider": provider}],
        "method": [],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
