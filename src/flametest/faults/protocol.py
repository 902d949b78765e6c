"""What a fault is: the protocol that each file of this room implements, one fault a file.

A fault is a frozen dataclass of its options, with units in their names. It knows only its own business: which objects
it acts on, what healing needs, how it is injected, proved and healed. What all faults have in common (the blast radius,
the undo journal, stamps, signals, the guardian) is in `flametest.faults.wrapper`, and no fault repeats it.

Implementers must not inject anything in `targets` or `record`, must bound every wait, and must be able to heal what was
injected by half, what was healed already, and what somebody else has changed or deleted meanwhile.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from flametest.kube import KubeClient
from flametest.model.events import RuleCount, Target

__all__ = ["Counts", "Fault", "Grows", "Prepares", "Proof", "State"]

State = dict[str, Any]
"""What proof and healing need, as JSON: snapshots, names, counts. It goes to disk, so it holds nothing secret."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a fault took effect, and what shows it.

    Attributes:
        proved: whether it did.
        evidence: what shows it, in a sentence.
        lasted_seconds: how long it had been in effect before that was shown; 0 where it took effect just then.
    """

    proved: bool
    evidence: str
    lasted_seconds: float = field(default=0.0, compare=False)


class Fault(Protocol):
    """A fault with its options.

    Attributes:
        name: stable identifier in snake case, which finds the way to heal in `flametest.faults.catalogue`.
        lasts: whether it goes on until it is healed, and is drawn as a span; else it is over at once, is drawn as a
            moment, and has nothing to heal.
    """

    name: ClassVar[str]
    lasts: ClassVar[bool]

    @property
    def title(self) -> str:
        """Return what it does, for people, such as ``remove Service logic``."""

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the objects that it would act on, with their uids; touches nothing.

        Raises:
            FaultError: an option selects nothing, or everything; the message says which.
            KubeError: the API is unreachable or refused.
        """

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return what proof and healing need; touches nothing.

        Raises:
            FaultError: what the fault takes for granted does not hold, so that it would prove nothing.
            KubeError: the API is unreachable or refused.
        """

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Inject it; returns when the API has accepted it.

        Raises:
            FaultError: it could not be injected.
            KubeError: the API is unreachable or refused. What was done by half is healed by the caller.
        """

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait, within a bound, for the evidence that it took effect, and return it, or what was seen instead.

        ``state`` is what `record` returned.

        Raises:
            KubeError: the API is unreachable or refused.
        """

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Take it back and return what was done, in a sentence; harmless when repeated, or when nothing is left.

        Raises:
            HealError: it could not be taken back.
            KubeError: the API is unreachable or refused.
        """


@runtime_checkable
class Prepares(Protocol):
    """A fault that needs something made first, which nobody feels: its time does not count as that of the fault."""

    def prepare(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Make it; comes after the undo record is on disk, so that `Fault.heal` removes it, and before `Fault.inject`.

        Raises:
            FaultError: it could not be made.
            KubeError: the API is unreachable or refused.
        """


@runtime_checkable
class Grows(Protocol):
    """A fault that makes a workload have more pods, which the blast radius bounds."""

    def grown_replicas(self, client: KubeClient) -> int:
        """Return how many replicas the workload will have; 0 when these are not more than now. Touches nothing.

        Raises:
            KubeError: the API is unreachable or refused.
        """


@runtime_checkable
class Counts(Protocol):
    """A fault that counts what it does to users, until it is healed."""

    @property
    def counted_at(self) -> str:
        """Return where it counts, for people."""

    def counts(self, client: KubeClient) -> tuple[RuleCount, ...]:
        """Return what it has counted until now.

        Raises:
            FaultError: what counts is not there any more.
            KubeError: the API is unreachable or refused.
        """
