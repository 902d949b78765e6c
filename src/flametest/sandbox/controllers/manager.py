"""The controllers of the cluster, wired to one loop: what the cluster process starts.

It lives as long as the cluster process. The order of the controllers is the order in which each sees a change: those
that replace pods come first, so that nothing stands between a pod's end and its replacement.
"""

from flametest.sandbox.controllers.claims import ClaimController
from flametest.sandbox.controllers.cronjob import CronJobController
from flametest.sandbox.controllers.daemonset import DaemonSetController
from flametest.sandbox.controllers.deployment import DeploymentController
from flametest.sandbox.controllers.disruption import DisruptionController
from flametest.sandbox.controllers.endpoints import EndpointsController
from flametest.sandbox.controllers.endpointslices import EndpointSliceController
from flametest.sandbox.controllers.evictions import EvictionController
from flametest.sandbox.controllers.garbage import GarbageController
from flametest.sandbox.controllers.job import JobController
from flametest.sandbox.controllers.loop import Controller, Loop
from flametest.sandbox.controllers.nodepods import NodePodsController
from flametest.sandbox.controllers.nodes import NodeController
from flametest.sandbox.controllers.podgarbage import PodGarbageController
from flametest.sandbox.controllers.replicaset import ReplicaSetController, ReplicationManager
from flametest.sandbox.controllers.resourcequota import ResourceQuotaController
from flametest.sandbox.controllers.statefulset import StatefulSetController
from flametest.sandbox.objects import Objects
from flametest.sandbox.timestamps import Clock, utc_now

__all__ = ["ControllerManager"]


class ControllerManager:
    """Runs all controllers.

    Args:
        objects: the state of the cluster.
        clock: the present time, as conditions and deadlines see it.
    """

    def __init__(self, objects: Objects, *, clock: Clock = utc_now) -> None:
        controllers: tuple[Controller, ...] = (
            ReplicaSetController(),
            ReplicationManager(),
            StatefulSetController(),
            DaemonSetController(),
            JobController(),
            EndpointSliceController(),
            EndpointsController(),
            DeploymentController(),
            CronJobController(),
            ClaimController(),
            DisruptionController(),
            NodeController(),
            NodePodsController(),
            EvictionController(),
            ResourceQuotaController(),
            PodGarbageController(),
            GarbageController(),
        )
        self._loop = Loop(objects, controllers, clock=clock)

    async def run(self) -> None:
        """Run until cancelled."""
        await self._loop.run()
