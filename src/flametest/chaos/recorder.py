"""The recorder: everything that measures an experiment, from before its hypothesis until after its rollbacks.

It owns the record folder, the prober (a process), the watches (threads, see `flametest.chaos.watching`) and the reader
of the pods' own counts (another thread), and ends all of them in `Recorder.stop`, whatever happened before. Watches
write to the record from their own threads; the main thread, in which Chaos Toolkit runs, waits for what they show. What
goes wrong in a watch's thread is kept and raised in the main thread at its next check, because a record with a hole in
it must not pass for a whole one.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flametest.chaos.errors import HarmError, RecorderError
from flametest.chaos.injection import Injection, injection
from flametest.chaos.record import Record, lone_folder
from flametest.chaos.settings import Settings
from flametest.chaos.traffic import TrafficReader
from flametest.chaos.view import View
from flametest.chaos.watching import Watching, is_turning_point
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.protocol import Proof
from flametest.kube import KubeClient, connect
from flametest.kube.resources import PODS
from flametest.kube.stamps import Mutation, stamp_mutations
from flametest.load.prober import Prober
from flametest.load.redirects import refuse_redirect
from flametest.model.events import (
    Event,
    FaultInjected,
    FaultProved,
    HarmLimitPassed,
    Noted,
    Phase,
    PhaseStarted,
    ProberEnded,
    ScenarioEnded,
    ScenarioStarted,
    Stamp,
)

__all__ = ["Noting", "Recorder", "Scenario"]

CHECK_SECONDS = 0.25  # how late a dead prober or a broken record is noticed while the main thread waits


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is recorded.

    Attributes:
        name: the scenario's name.
        workload: the faulted workload.
        title: the experiment's title.
        experiment: the experiment's file.
        path: what the prober asks for.
        judges_steady_state: whether the experiment's own hypothesis asks for the time to steady state.
    """

    name: str
    workload: str
    title: str
    experiment: str
    path: str = "/"
    judges_steady_state: bool = False


@dataclass(slots=True)
class Noting:
    """What came of noting an action's fault: the number of its injection; 0 before its end, and when it did nothing."""

    injection: int = 0


class Recorder:
    """Records one experiment; `start` it once, and `stop` it on every way out."""

    def __init__(self, settings: Settings, scenario: Scenario) -> None:
        self.scenario = scenario
        self.folder: Path = settings.record_folder or lone_folder(scenario.name, time.time())
        self._settings = settings
        self._seed = random.SystemRandom().randrange(2**31) if settings.seed is None else settings.seed
        self._record: Record | None = None
        self._client: KubeClient | None = None
        self._prober: Prober | None = None
        self._watching: Watching | None = None
        self._traffic: TrafficReader | None = None
        self._exits = ExitStack()
        self._outcome = ("aborted", False)
        self._failure: Exception | None = None
        self._harm: HarmLimitPassed | None = None
        # Guards the view and what is pending; notified at whatever a watch shows.
        self._seen = threading.Condition()
        self._view = View()
        self._pending: list[Injection] = []
        self._injections = 0
        self._deleted: set[str] = set()  # pods that an action of Flametest's own has deleted
        self._hit: set[str] = set()  # the workloads whose pods faults were aimed at
        self._lasted_seconds = 0.0

    @property
    def client(self) -> KubeClient:
        """Return the cluster, from the start of the recorder to its end."""
        assert self._client is not None
        return self._client

    @property
    def settings(self) -> Settings:
        """Return what the environment says."""
        return self._settings

    @property
    def injected(self) -> bool:
        """Return whether a fault was injected."""
        return self._injections > 0

    def start(self) -> None:
        """Open the record, start the watches and the prober; returns when its first samples are written.

        Raises:
            FlametestError: one of them cannot be started. `stop` has to be called also then.
        """
        self._record = Record(self.folder)
        self._exits.callback(self._record.close)
        self._exits.callback(self._note_end)
        self.note(ScenarioStarted(_now(), self.scenario.name, self.scenario.title, self.scenario.experiment))
        self.note(Noted(_now(), self.scenario.name, f"random choices start from FLAMETEST_SEED={self._seed}"))
        self._client = self._exits.enter_context(connect(self._settings.kubeconfig, self._settings.context))
        self._start_watches(self._client)
        if self._view.desired(self.scenario.workload) is None:
            raise RecorderError(
                f"namespace {self._settings.namespace!r} holds no Deployment, StatefulSet or DaemonSet "
                f"{self.scenario.workload!r}",
                "deploy the system with `flametest up`, or fix the workload in the recorder's arguments",
            )
        self._start_prober()
        self._start_traffic(self._client)
        self.check()

    def stop(self, status: str, deviated: bool) -> None:
        """End prober, watches and record, each also when another fails to; a second call does nothing.

        Args:
            status: Chaos Toolkit's word on how the experiment ended.
            deviated: whether the hypothesis did not hold after the method.
        """
        self._outcome = (status, deviated)
        self._exits.close()

    def note(self, event: Event) -> None:
        """Append an event to the history.

        Raises:
            RecorderError: it cannot be written.
        """
        assert self._record is not None
        if self._watching is not None and is_turning_point(event):
            self._watching.compare_soon()
        try:
            self._record.append(event)
        except OSError as error:
            raise RecorderError(
                f"history of {self.folder} cannot be written: {error.strerror}", "make room on that disk"
            ) from error

    def interrupt(self, harm: HarmLimitPassed) -> None:
        """Note that users suffer too much; whoever waits is interrupted. May be called in any thread."""
        with self._seen:
            self._harm = harm
            self.note(harm)
            self._seen.notify_all()

    def take_lasted_seconds(self) -> float:
        """Return how long the last fault had lasted when it was proved; 0 after the first call."""
        lasted_seconds, self._lasted_seconds = self._lasted_seconds, 0.0
        return lasted_seconds

    def begin_phase(self, phase: Phase) -> None:
        """Note that a phase begins now."""
        self.note(PhaseStarted(_now(), self.scenario.name, phase))
        if self._traffic is not None:  # a baseline is over once requests were counted twice in it
            self._traffic.read_soon()

    def seed(self, fault: str) -> None:
        """Begin the process' random numbers again from the run's seed, for one fault.

        So an action draws the same places in its list of candidates whatever was drawn before it. (Names are new in
        each deployment; places are all that can recur.) What it will draw is foretold from these numbers, so nothing
        begins them again between the guarding of an action and its end.
        """
        random.seed(f"{self._seed} {self.scenario.name} {fault}")

    def note_fault(self, event: FaultInjected) -> int:
        """Note a fault that was injected by Flametest itself, which proves it by itself too; return its number.

        Raises:
            RecorderError: it cannot be written.
        """
        with self._seen:
            if event.fault == PodDeletion.name:
                self._deleted.update(target.uid for target in event.targets)
            return self._note_numbered(event).injection

    def note_proof(self, injection: int, fault: str, proof: Proof) -> None:
        """Note whether the injection of that number took effect; no other proof of it is waited for.

        Raises:
            RecorderError: it cannot be written.
        """
        with self._seen:
            self.note(FaultProved(_now(), self.scenario.name, fault, proof.proved, proof.evidence, injection))
            self._pending = [pending for pending in self._pending if pending.event.injection != injection]
            self._lasted_seconds = proof.lasted_seconds

    @contextmanager
    def injecting(self, fault: str, name: str = "") -> Iterator[Noting]:
        """Stamp what an action sends while the block runs; note the fault that it injected, if it injected one.

        ``fault`` is what it does, such as ``terminate_pods``, and ``name`` what the experiment's faults know it by.

        What it gives has the number of that injection, once the block has ended.
        """
        noting = Noting()
        with stamp_mutations() as mutations:
            yield noting
        if mutations:
            noting.injection = self._note_injection(fault, name, mutations)

    def is_ready(self, workload: str) -> bool:
        """Return whether as many pods of a workload as desired are ready, none of which is going."""
        with self._seen:
            return self._view.is_ready(workload)

    def readiness(self, workload: str) -> str:
        """Return in words how many pods of a workload are ready, of how many that are wanted."""
        with self._seen:
            desired, ready = self._view.desired(workload), self._view.ready_pods(workload)
        if desired is None:
            return f"there is no Deployment or StatefulSet {workload!r} in namespace {self._settings.namespace!r}"
        return f"{ready} of {desired} pods of {workload} are ready"

    def wait(self, seconds: float) -> None:
        """Wait for ``seconds``.

        Raises:
            FlametestError: the prober or the record failed meanwhile.
        """
        self._wait(seconds, lambda: False)

    def wait_recovered(self, seconds: float) -> bool:
        """Wait until every fault has shown its effect and the workload is ready again; return whether it is.

        Raises:
            FlametestError: the prober or the record failed meanwhile.
        """
        return self._wait(seconds, self._has_recovered)

    def wait_relapsed(self, seconds: float) -> bool:
        """Wait until the workload is no longer ready, or for ``seconds``; return whether it relapsed.

        Raises:
            FlametestError: the prober or the record failed meanwhile.
        """
        return self._wait(seconds, lambda: not self._has_recovered())

    def check(self) -> None:
        """Check that the record is whole so far.

        Raises:
            FlametestError: the prober ended by itself, an event could not be written, or users suffered too much.
        """
        if self._failure is not None:
            raise RecorderError(f"the record has a hole: {self._failure}") from self._failure
        if self._harm is not None:
            raise HarmError(self._harm.words)
        if self._prober is not None:
            self._prober.check()

    def _has_recovered(self) -> bool:
        # Before the watch has shown the deletion, all pods still look ready.
        shown = not any(pending.deletion for pending in self._pending)
        shown = shown and all(map(self._view.pod_is_down, self._deleted))
        return shown and all(map(self._view.is_ready, self._awaited()))

    def _awaited(self) -> set[str]:
        """Return the workloads that are to be ready again: the scenario's, and if it was not hit, those that were."""
        own = {self.scenario.workload}
        others = () if self._hit & own else self._hit
        return own | {name for name in others if self._view.desired(name) is not None}

    def _wait(self, seconds: float, until: Callable[[], bool]) -> bool:
        end = time.monotonic() + seconds
        with self._seen:
            while not until():
                self.check()
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._seen.wait(min(left, CHECK_SECONDS))
        return True

    def _start_watches(self, client: KubeClient) -> None:
        self._watching = Watching(client, self._settings.namespace, self.scenario.name, self._take)
        self._exits.callback(self._stop_watches, self._watching)
        self._watching.start()

    def _stop_watches(self, watching: Watching) -> None:
        """End them; a record that may be judged gets a last comparison, one that was given up need not wait for it."""
        self._watching = None
        watching.stop(comparing=self._outcome[0] in ("completed", "deviated"))

    def _start_traffic(self, client: KubeClient) -> None:
        self._traffic = TrafficReader(client, self._settings.namespace, self.scenario.name, self._take)
        self._exits.callback(self._traffic.stop)
        self._traffic.start()

    def _start_prober(self) -> None:
        url = self._settings.url.rstrip("/") + self.scenario.path
        refuse_redirect(url)
        self._prober = self._exits.enter_context(Prober(url, self.folder))
        self._exits.callback(self._stop_prober, self._prober)
        self._prober.wait_first_samples()

    def _stop_prober(self, prober: Prober) -> None:
        self._prober = None
        self.note(ProberEnded(_now(), self.scenario.name, **asdict(prober.stop())))

    def _take(self, event: Event) -> None:
        """Take an event of a watch or a reading, in its thread: an exception here would only end the watch unseen."""
        try:
            self.note(event)
            with self._seen:
                self._view.take(event)
                self._prove(event.at)
                self._seen.notify_all()
        except Exception as error:  # told to the main thread by `check`
            self._failure = self._failure or error

    def _note_injection(self, fault: str, name: str, mutations: list[Mutation]) -> int:
        """Note what an action injected and return its number; 0 when the API refused all of it."""
        with self._seen:
            found = injection(fault, mutations, self._view, _now(), self.scenario.name)
            if found is None:
                statuses = ", ".join(f"{one.method} {one.path}: {one.status}" for one in mutations)
                self.note(Noted(_now(), self.scenario.name, f"{fault} injected nothing, the API refused: {statuses}"))
                return 0
            noted = self._note_numbered(replace(found.event, name=name))
            self._pending.append(replace(found, event=noted))
            # The watch may have shown the effect before the action returned.
            self._prove(_now())
            return noted.injection

    def _note_numbered(self, event: FaultInjected) -> FaultInjected:
        """Note an injection by the next number, and return it with that number."""
        numbered = replace(event, injection=self._injections + 1)
        self.note(PhaseStarted(_at(event.sent_ns), self.scenario.name, Phase.FAULT))
        self.note(numbered)
        self._injections += 1
        self._lasted_seconds = 0.0
        hit = (self._view.workload_of(target.uid) for target in event.targets if target.kind == PODS.kind)
        self._hit.update(name for name in hit if name)
        return numbered

    def _prove(self, at: Stamp) -> None:
        for pending in tuple(self._pending):
            proof = pending.proof(self._view, at)
            if proof is not None:
                self.note(proof)
                self._pending.remove(pending)

    def _note_end(self) -> None:
        with self._seen:
            for pending in self._pending:
                self.note(pending.unproved(_now()))
            self._pending.clear()
        self.note(ScenarioEnded(_now(), self.scenario.name, *self._outcome))


def _now() -> Stamp:
    return Stamp(time.monotonic_ns(), time.time())


def _at(moment_ns: int) -> Stamp:
    """Return the stamp of a moment that has just passed."""
    now = _now()
    return Stamp(moment_ns, now.wall_s - (now.monotonic_ns - moment_ns) / 1e9)
