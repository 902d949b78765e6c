"""One of several faults of a scenario, measured by itself."""

from dataclasses import dataclass

from flametest.model.events import Target
from flametest.model.measures import Outage, Stage

__all__ = ["FaultFigures"]


@dataclass(frozen=True, slots=True)
class FaultFigures:
    """What one fault was, and what users felt while it lasted and until the next turn after its healing.

    Where faults last at the same time, nobody can tell which of them users felt: each then has what they felt of all.

    Attributes:
        name: what the experiment calls it.
        fault: what was done, such as ``edge``.
        targets: what it acted on.
        injected_seconds: its own t0, in seconds from that of the scenario, which is the first fault's.
        uncertainty_seconds: uncertainty of its t0.
        proved: whether it was seen to take effect; None when no proof was noted.
        evidence: what shows that, or what was seen instead.
        healed_seconds: when it was healed, from the scenario's t0; None for one that was over at once, or never healed.
        until_seconds: the end of what it is measured by, from the scenario's t0: the next injection or healing after
            its own healing, else the end of the record.
        together_with: the names of the faults that lasted, or were injected, meanwhile.
        outage: what users felt, in seconds from its own t0; None without a sample of the prober.
        stages: the recovery from it, in seconds from its own t0.
    """

    name: str
    fault: str
    targets: tuple[Target, ...]
    injected_seconds: float
    uncertainty_seconds: float
    proved: bool | None
    evidence: str
    healed_seconds: float | None
    until_seconds: float
    together_with: tuple[str, ...]
    outage: Outage | None
    stages: tuple[Stage, ...]
