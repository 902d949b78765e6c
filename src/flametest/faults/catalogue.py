"""Every fault by its name, as undo records know it: how to heal what an earlier process has injected."""

from collections.abc import Callable, Mapping

from flametest.faults.protocol import Fault, State
from flametest.faults.scaling import Scaling
from flametest.faults.service_removal import ServiceRemoval
from flametest.kube import KubeClient

__all__ = ["FAULTS", "HEALERS"]

FAULTS: tuple[type[Fault], ...] = (Scaling, ServiceRemoval)

HEALERS: Mapping[str, Callable[[KubeClient, State], str]] = {fault.name: fault.heal for fault in FAULTS if fault.lasts}
