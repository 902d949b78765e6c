"""The faults of the running experiment: what its actions inject, noted in its record, and healed when it ends.

`ExperimentFaults` joins the wrapper of `flametest.faults` with the recorder. `Preview` stands in its place when targets
are only shown: before an experiment begins, and for ``flametest run --dry-run``.
"""

import ctypes
import logging
import os
import signal
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from flametest.chaos.names import FaultNames
from flametest.chaos.recorder import Recorder
from flametest.faults.account import aim
from flametest.faults.healing import Healing
from flametest.faults.owner import RUNNER_VARIABLE, ProcessName
from flametest.faults.protocol import Counts, Fault, Proof
from flametest.faults.safety import Hit, Radius
from flametest.faults.undo import Place, UndoRecord
from flametest.faults.wrapper import Armed, Injected, InjectionOptions, Injector
from flametest.kube import KubeClient
from flametest.model.errors import FlametestError
from flametest.model.events import NO_FAULT, EdgeCounted, FaultHealed, FaultInjected, Noted, Stamp, Target

__all__ = ["ExperimentFaults", "Faults", "Foreseen", "Listing", "Preview", "end_with_runner", "note_control", "told"]

logger = logging.getLogger("chaostoolkit")

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, see prctl(2)


class Faults(Protocol):
    """What actions see: where faults may be, and how to inject one."""

    @property
    def namespace(self) -> str:
        """Return the namespace of the system under test."""

    def inject(self, fault: Fault, name: str = "") -> Proof:
        """Inject a fault until it is healed, and return whether it took effect; ``name`` is empty for its kind."""

    def heal(self, names: Collection[str] | None = None) -> tuple[Healing, ...]:
        """Heal the faults of these names, or for None everything that was injected; return what became of each."""


class Foreseen(Faults, Protocol):
    """What takes faults without injecting them, and follows how the method would recover from them."""

    def recover(self, *, lasting: bool, names: Collection[str] | None = None) -> None:
        """Take note that the method would heal what lasts, or wait until pods that were lost are back.

        Args:
            lasting: whether it heals.
            names: the faults that it heals; None for all.

        Raises:
            RecorderError: no fault of one of the names was injected before.
        """


class ExperimentFaults:
    """Injects and heals for one experiment; its owner calls `heal` on every way out."""

    def __init__(
        self, client: KubeClient, place: Place, options: InjectionOptions, recorder: Recorder, namespace: str
    ) -> None:
        self.namespace = namespace
        self.names = FaultNames()
        self._client = client
        self._recorder = recorder
        self._injector = Injector(client, place, options, self)
        self._wanted: dict[int, str] = {}  # the names of the faults that are being injected, by their identity
        self._records: dict[str, str] = {}  # the undo records of the faults that last, by their names
        self._injections: dict[str, int] = {}  # the numbers of their injections, by their undo records
        self._counting: dict[str, Counts] = {}  # those that count what they do, likewise
        self._lasting: dict[str, int] = {}  # when those that last were injected, by their undo records

    @property
    def lasting_since_ns(self) -> int | None:
        """Return when the fault was injected that has lasted longest (monotonic); None while none lasts."""
        return min(tuple(self._lasting.values()), default=None)

    def stop(self, why: str) -> tuple[Healing, ...]:
        """Heal at once, and inject nothing any more; see `Injector.stop`."""
        return self._injector.stop(why)

    def inject(self, fault: Fault, name: str = "") -> Proof:
        """Inject a fault, and return whether it took effect.

        Raises:
            FlametestError: it may not be injected, or was not.
        """
        self._wanted[id(fault)] = self.names.take(name, fault.name)
        self._recorder.seed(fault.name)
        try:
            return self._injector.inject(fault)
        finally:
            del self._wanted[id(fault)]

    def arm(self, fault: Fault) -> Armed:
        """Gate and journal what an action of another extension is about to do.

        Raises:
            FlametestError: it may not be done.
        """
        return self._injector.arm(fault)

    def done(self, armed: Armed, name: str, injection: int) -> None:
        """Take note that the action of another extension has ended, and what the record knows it by.

        Raises:
            FaultError: users have suffered too much meanwhile; the fault is healed.
        """
        self._injector.injected(armed)
        self._keep(name, armed.record, injection, time.monotonic_ns())
        self._injector.land(armed)

    def prove(self, armed: Armed, injection: int, name: str) -> None:
        """Note whether what that action did took effect, under the number and name by which the record knows it."""
        self._recorder.note_proof(injection, name, self._injector.evidence(armed))

    def heal(self, names: Collection[str] | None = None) -> tuple[Healing, ...]:
        """Heal the faults of these names, or for None all that is armed; see `Injector.heal`.

        Raises:
            RecorderError: no fault of one of the names was injected.
        """
        if names is None:
            self._note_counts(tuple(self._counting))
            return self._injector.heal()
        self.names.check(names)
        records = {self._records[name] for name in names if name in self._records}
        self._note_counts(records)
        return self._injector.heal(records)

    def _note_counts(self, records: Collection[str]) -> None:
        """Note what faults have counted that are about to be healed; what cannot be asked is left out."""
        for record in records:
            fault = self._counting.pop(record, None)
            if fault is not None:
                with suppress(FlametestError):
                    counted = fault.counts(self._client)
                    number, name = self._injections.get(record, 0), self._recorder.scenario.name
                    self._recorder.note(EdgeCounted(_now(), name, fault.counted_at, counted, number))

    def shown(self, fault: Fault, targets: tuple[Target, ...]) -> None:
        """Tell the targets of a fault that is about to be injected."""
        logger.info(f"{fault.title}: {told(targets)}")

    def injected(self, injected: Injected) -> int:
        """Note the injection, and return its number."""
        name = self._wanted[id(injected.fault)]
        number = self._recorder.note_fault(
            FaultInjected(
                _now(),
                self._recorder.scenario.name,
                injected.fault.name,
                injected.sent_ns,
                injected.acknowledged_ns,
                injected.targets,
                name=name,
            )
        )
        self._keep(name, injected.record, number, injected.sent_ns)
        if injected.record and isinstance(injected.fault, Counts):
            self._counting[injected.record] = injected.fault
        return number

    def proved(self, injection: int, fault: str, proof: Proof) -> None:
        """Note the proof of the injection of that number."""
        self._recorder.note_proof(injection, fault, proof)
        logger.info(f"{'proved' if proof.proved else 'NOT proved'}: {proof.evidence}")

    def healed(self, record: UndoRecord, healing: Healing) -> None:
        """Note the healing, or that it failed."""
        name = self._recorder.scenario.name
        if healing.healed:
            self._lasting.pop(record.identifier, None)
            logger.info(f"healed: {healing.evidence}")
            number = self._injections.get(record.identifier, 0)
            self._recorder.note(FaultHealed(_now(), name, record.fault, healing.evidence, number))
            return
        logger.error(f"NOT healed: {healing.title}: {healing.evidence}; `flametest undo` tries again")
        self._recorder.note(Noted(_now(), name, f"not healed: {healing.title}: {healing.evidence}"))

    def _keep(self, name: str, record: str, injection: int, since_ns: int) -> None:
        if record:
            self._lasting[record] = since_ns
            self._records[name] = record
            self._injections[record] = injection


class Preview:
    """Resolves and gates what would be injected, and keeps it in `shown`; injects nothing."""

    def __init__(self, client: KubeClient, radius: Radius, namespace: str) -> None:
        self.namespace = namespace
        self.shown: list[tuple[Fault, tuple[Target, ...]]] = []
        self._client = client
        self._radius = radius
        self._names = FaultNames()
        self._lasting: dict[str, Hit] = {}
        self._passing: list[Hit] = []

    def inject(self, fault: Fault, name: str = "") -> Proof:
        """Resolve and gate a fault.

        Raises:
            FlametestError: it could not be injected.
        """
        name = self._names.take(name, fault.name)
        hit = aim(self._client, fault, self._radius, [*self._lasting.values(), *self._passing])
        if fault.lasts:
            self._lasting[name] = hit
        else:  # a pod that was deleted is not drawn a second time, though it still is when nothing was deleted
            self._passing.append(replace(hit, gone=True))
        self.shown.append((fault, hit.targets))
        return Proof(False, "nothing was injected: this is a preview")

    def recover(self, *, lasting: bool, names: Collection[str] | None = None) -> None:
        """Forget the faults that the method would heal by now, or those whose pods would be back.

        Raises:
            RecorderError: no fault of one of the names was injected before.
        """
        if not lasting:
            self._passing.clear()
            return
        self._names.check(names or ())
        for name in tuple(self._lasting) if names is None else names:
            self._lasting.pop(name, None)

    def heal(self, names: Collection[str] | None = None) -> tuple[Healing, ...]:
        """Return nothing, since nothing was injected."""
        return ()


class Listing:
    """Keeps the faults that it is given in `listed`, and looks no further."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.listed: list[Fault] = []

    def inject(self, fault: Fault, name: str = "") -> Proof:
        """Take note of a fault."""
        self.listed.append(fault)
        return Proof(False, "nothing was injected: this is a list")

    def recover(self, *, lasting: bool, names: Collection[str] | None = None) -> None:
        """Do nothing: every fault is listed."""

    def heal(self, names: Collection[str] | None = None) -> tuple[Healing, ...]:
        """Return nothing, since nothing was injected."""
        return ()


def note_control(recorder: Recorder) -> None:
    """Note the moment of a control as that of a fault which was proved; nothing is injected.

    Raises:
        RecorderError: it cannot be written.
    """
    now = _now()
    number = recorder.note_fault(
        FaultInjected(now, recorder.scenario.name, NO_FAULT, now.monotonic_ns, now.monotonic_ns, (), name=NO_FAULT)
    )
    recorder.note_proof(number, NO_FAULT, Proof(True, "nothing was to be injected: this is a control"))


def told(targets: tuple[Target, ...]) -> str:
    """Return targets in a line, such as ``Pod flametest/api-1, Node sandbox-1``."""
    return ", ".join(f"{one.kind} {one.namespace}{'/' if one.namespace else ''}{one.name}" for one in targets)


def end_with_runner(environment: Mapping[str, str]) -> None:
    """Have this process told to end, and so to heal, when the run that started it dies.

    Nobody would wait for its result then. Linux only; elsewhere, and for a lone ``chaos run``, nothing is done.
    """
    runner = ProcessName.parse(environment.get(RUNNER_VARIABLE, ""))
    if runner is None or runner.pid != os.getppid():
        return
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    if not runner.lives():  # it died before it could be noticed
        os.kill(os.getpid(), signal.SIGTERM)


def _now() -> Stamp:
    return Stamp(time.monotonic_ns(), time.time())
