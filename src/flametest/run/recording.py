"""Recording the scenarios of a run, one after the other, or side by side on several systems.

Scenarios come from one queue, and each system takes the next one when it is done with the last: in the order of the
suite, or, on several systems, such that none waits long for the others at the end. Random choices are
those of the scenario and its trial, whichever system it meets. What is inconclusive for a reason of the machine that it
shared is repeated at the end, alone and once.
"""

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

from flametest.clusters import Access, Cluster
from flametest.faults.undo import state_home
from flametest.kube import KubeClient, KubeError
from flametest.model.errors import FlametestError
from flametest.model.events import ExperimentStopped, Noted, RunEnded, RunStarted
from flametest.model.limits import LimitBook
from flametest.model.result import ScenarioResult
from flametest.run.alone import alone, machine_doubt
from flametest.run.analyse import NOTHING_KNOWN, measure_trials
from flametest.run.bookkeeper import Bookkeeper, LedgerWish
from flametest.run.experiment import Experiment, read_limits
from flametest.run.folder import RunFolder, stamp
from flametest.run.halting import Halt, side_by_side
from flametest.run.leftovers import heal_leftovers
from flametest.run.order import soonest
from flametest.run.programs import Programs
from flametest.run.progress import RememberingProgress
from flametest.run.project import Project
from flametest.run.repeats import Repeat, repeats
from flametest.run.scenario import run_scenario
from flametest.run.scene import LoadSize, Scene

__all__ = ["WHOLE_SECONDS", "Lanes", "Recording", "System"]

_BESIDE_METHOD_SECONDS = 13.0  # watch after recovery, start and end: by experience
_SPREAD_SECONDS = 4.0  # after which most even spreads over three pods are told to be so: late, and now and then later
WHOLE_SECONDS = 20.0  # a fault's aftermath is over by then, or the system does not heal by itself


@dataclass(frozen=True, slots=True)
class System:
    """One deployed system: the cluster that it is on, how it is reached, and who keeps its ledgers."""

    cluster: Cluster
    access: Access
    client: KubeClient
    bookkeeper: Bookkeeper

    @classmethod
    def of(cls, cluster: Cluster, access: Access, client: KubeClient, wish: LedgerWish) -> "System":
        """Return a system whose ledgers are kept as was wished."""
        return cls(cluster, access, client, Bookkeeper(access.url, wish, access.environment(os.environ)))


@dataclass(frozen=True, slots=True)
class Recording:
    """What all scenarios of a run share.

    Attributes:
        folder: where they are recorded.
        project: the load test and the limits.
        load: how much load is offered to each.
        progress: where the steps are told.
        halt: whether scenarios are to stop.
        notes: what a reader of the report has to know; more may be added while the run goes on.
    """

    folder: RunFolder
    project: Project
    load: LoadSize
    progress: RememberingProgress
    halt: Halt
    notes: list[str] = field(default_factory=list)

    def scene(self, system: System) -> Scene:
        """Return what scenarios on ``system`` share."""
        limits = self.folder.inputs().limits
        return Scene(system.access, self.project, self.load, limits, system.bookkeeper, self.halt)


_Planned = tuple[Experiment, Repeat]
_Queue = deque[_Planned]


class Lanes:
    """All trials of all experiments, and the systems that take them; `close` ends what was started ahead.

    Attributes:
        measured: trials that had to be measured to know which to repeat alone, by their keys, for `analyse`.
    """

    def __init__(self, recording: Recording, experiments: Sequence[Experiment]) -> None:
        inputs = recording.folder.inputs()
        self._recording = recording
        self._planned = [(one, each) for one in experiments for each in repeats(one.name, inputs.trials, inputs.seed)]
        self._lanes: list[_Lane] = []
        self.measured: Mapping[str, ScenarioResult] = NOTHING_KNOWN

    def prepare(self, systems: Sequence[System]) -> None:
        """Start the programs of the first scenario of each system, where that asks nothing of the system yet."""
        self._assign(systems)
        for lane in self._lanes:
            lane.prepare_next()

    def record(self, systems: Sequence[System]) -> None:
        """Run each trial on one of the systems; what is recorded is kept on every way out.

        Raises:
            FlametestError: a scenario could not be carried out; the others were stopped.
            KeyboardInterrupt: a signal ended the run; all scenarios were stopped and have healed.
        """
        folder = self._recording.folder
        inputs = folder.inputs()
        folder.note(RunStarted(stamp(), "", inputs.run_id, inputs.cluster, inputs.seed, inputs.command, len(systems)))
        reason = "completed"
        try:
            self._work(systems)
        except BaseException as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            raise
        finally:
            for note in (*self._recording.notes, *self._recording.progress.skipped):
                folder.note(Noted(stamp(), "", note))
            folder.note(RunEnded(stamp(), "", reason))
            _collect_logs(folder, systems)

    def close(self) -> None:
        """End the programs of scenarios that were started ahead; a second call does nothing."""
        for lane in self._lanes:
            lane.close()

    def _work(self, systems: Sequence[System]) -> None:
        if [lane.system for lane in self._lanes] != list(systems):
            self._assign(systems)
        if len(systems) == 1:
            self._lanes[0].work()
            return
        jobs = {f"scenarios-{number}": lane.work for number, lane in enumerate(self._lanes, start=1)}
        side_by_side(jobs, self._recording.halt)
        self.measured = _repeat_alone(self._recording, systems[0], self._planned)

    def _assign(self, systems: Sequence[System]) -> None:
        self.close()
        queue = self._queue(len(systems))
        self._lanes = [_Lane(self._recording, one, queue) for one in systems]

    def _queue(self, systems: int) -> _Queue:
        """Return the trials in the order of the suite, or in the one that several systems are done with soonest."""
        if systems == 1:
            return _Queue(self._planned)
        limits = read_limits(self._recording.project.limits_file)
        order = soonest([_expected_seconds(one, limits) for one, _ in self._planned], systems)
        return _Queue(self._planned[index] for index in order)


def _expected_seconds(experiment: Experiment, limits: LimitBook) -> float:
    """Return about how long a scenario will take."""
    asked = {one.criterion for one in limits.of(experiment.name, experiment.limits)}
    spread_seconds = _SPREAD_SECONDS if "max_over_mean" in asked else 0.0
    return _BESIDE_METHOD_SECONDS + experiment.planned_seconds + spread_seconds


def _collect_logs(folder: RunFolder, systems: Sequence[System]) -> None:
    for number, system in enumerate(systems, start=1):
        with suppress(KubeError):
            logs = folder.path / "logs" / ("" if number == 1 else f"sandbox-{number}")
            system.client.collect_logs(system.access.namespace, logs)


def _repeat_alone(recording: Recording, system: System, ran: Sequence[_Planned]) -> Mapping[str, ScenarioResult]:
    """Repeat on one system, with the others idle, what the machine has left in doubt; say so in the report.

    Returns:
        what was measured to find that out, by the keys of the trials.
    """
    with recording.progress.step("look for scenarios to repeat alone") as step:
        found = measure_trials(recording.folder, [repeat for _, repeat in ran])
        doubts = {key: doubt for key, one in found.items() if (doubt := machine_doubt(one))}
        step.saw(", ".join(doubts) or "the machine left none in doubt")
    for experiment, repeat in ran:
        if repeat.key in doubts:
            recording.notes.append(
                f"{repeat.key} was repeated alone: alongside other scenarios it was inconclusive ({doubts[repeat.key]})"
            )
            _await_whole(recording, system, experiment)
            _record_scenario(recording, system, _programs(recording, system, experiment, alone(repeat)), lambda: None)
    return found


class _Lane:
    """One system, and the scenarios that it takes from the queue: one to run, and one ahead, to start its programs."""

    def __init__(self, recording: Recording, system: System, planned: _Queue) -> None:
        self.system = system
        self._recording = recording
        self._planned = planned
        self._ahead: Programs | None = None

    def work(self) -> None:
        """Run scenarios until none is left."""
        is_first = True
        try:
            while (programs := self._taken()) is not None:
                with closing(programs):
                    self._recording.halt.check()
                    if not is_first:  # before the first, the rehearsal has waited
                        _await_whole(self._recording, self.system, programs.experiment)
                    _record_scenario(self._recording, self.system, programs, self.prepare_next)
                is_first = False
        finally:
            self.close()

    def close(self) -> None:
        """End the programs of the next scenario; a second call does nothing."""
        if self._ahead is not None:
            self._ahead.close()

    def prepare_next(self) -> None:
        """Start the programs of the next scenario, where that asks nothing of the system yet."""
        self._ahead = self._next()
        if self._ahead is not None and self._ahead.experiment.can_wait:
            with suppress(FlametestError, OSError):  # it is tried again when it is due, and told then
                self._ahead.prepare()

    def _taken(self) -> Programs | None:
        ahead, self._ahead = self._ahead, None
        return ahead or self._next()

    def _next(self) -> Programs | None:
        """Return the programs of the next scenario, none of them started; None where none is left."""
        try:
            experiment, repeat = self._planned.popleft()
        except IndexError:
            return None
        return _programs(self._recording, self.system, experiment, repeat)


def _programs(recording: Recording, system: System, experiment: Experiment, repeat: Repeat) -> Programs:
    return Programs(experiment, recording.scene(system), repeat, recording.folder.scenario(repeat.key))


def _await_whole(recording: Recording, system: System, experiment: Experiment) -> None:
    """Give the system time to be whole again; if it is not, the experiment's own hypothesis says so and stops it."""
    progress = recording.progress
    for healing in heal_leftovers(state_home(os.environ), [system.cluster]).healings:
        progress.say(f"{'healed' if healing.healed else 'NOT HEALED'}: {healing.title}: {healing.evidence}")
    with progress.step(f"before {experiment.name}: wait until the system is whole") as step:
        try:
            system.client.wait_ready(system.access.namespace, timeout_seconds=WHOLE_SECONDS, saw=step.saw)
        except KubeError as error:
            step.skip(f"given up after {WHOLE_SECONDS:g} s: {error.message}")


def _record_scenario(recording: Recording, system: System, programs: Programs, begun: Callable[[], None]) -> None:
    folder, experiment, repeat = recording.folder, programs.experiment, programs.repeat
    (programs.folder / experiment.path.name).write_bytes(experiment.path.read_bytes())
    try:
        with recording.progress.step(f"experiment {_told(repeat, folder.inputs().trials)}") as step:
            outcome = run_scenario(programs, step.saw, begun)
            why = f": {outcome.reason}" if outcome.reason else ""
            step.saw(f"{outcome.status}{', deviated' if outcome.deviated else ''}{why}")
            if outcome.reason:
                folder.note(ExperimentStopped(stamp(), repeat.key, outcome.reason))
        if system.bookkeeper.has_written:
            _read_back(recording, system, repeat)
    finally:
        folder.fold(repeat.key)


def _told(repeat: Repeat, trials: int) -> str:
    """Return how a trial is called while it runs."""
    told = repeat.scenario
    if trials > 1:
        longer = f"baseline longer by {repeat.extra_baseline_seconds:g} s"
        told = f"{told}, trial {repeat.number} of {trials} ({longer})"
    return f"{told}, repeated alone" if repeat.is_alone else told


def _read_back(recording: Recording, system: System, repeat: Repeat) -> None:
    """Read back what was written, once the system is whole; if it does not get whole, the audit tells what it finds."""
    with recording.progress.step(f"after {repeat.key}: read its writes back") as step:
        with suppress(KubeError):
            system.client.wait_ready(system.access.namespace, timeout_seconds=WHOLE_SECONDS, saw=step.saw)
        recording.folder.write_audit(repeat.key, system.bookkeeper.read_back(step.saw))
