"""Gets the images of one pod's containers, and tells the events that the kubelet tells of it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from flametest.sandbox.agent.instances import WaitError
from flametest.sandbox.agent.podstate import PodState
from flametest.sandbox.agent.pullsecrets import pull_credentials
from flametest.sandbox.agent.state import ContainerRecord
from flametest.sandbox.images import Image, Obtained, PullError, PullFailure
from flametest.sandbox.images.reference import parse_reference

__all__ = ["PodDeletedError", "Puller", "image_id"]


class PodDeletedError(Exception):
    """The pod was deleted while its image was fetched."""


class Puller:
    """Belongs to the keeper of one pod's containers."""

    def __init__(self, state: PodState) -> None:
        self._state = state

    async def pull(self, record: ContainerRecord) -> Image:
        """Return the image, telling the events of a pull.

        Raises:
            WaitError: it cannot be had.
            PodDeletedError: the pod is deleted meanwhile.
        """
        reference, policy = str(record.spec["image"]), str(record.spec.get("imagePullPolicy", "IfNotPresent"))
        if policy == "Always":
            self._state.normal("Pulling", f'Pulling image "{reference}"', record)
        try:
            credentials = pull_credentials(self._state.pod, self._state.tools.objects)
            obtained = await self._unless_deleted(self._state.tools.images.obtain(reference, policy, credentials))
        except PullError as error:
            self._tell_failed_pull(record, reference, policy, error)
            raise WaitError(error.failure.value, str(error)) from error
        image = obtained.image
        if obtained.pulled or policy == "Always":
            if policy != "Always":
                self._state.normal("Pulling", f'Pulling image "{reference}"', record)
            took = f"{obtained.seconds:.3g}s"
            size = f" Image size: {obtained.size_bytes} bytes." if obtained.pulled else ""
            message = f'Successfully pulled image "{reference}" in {took} ({took} including waiting).{size}'
            self._state.normal("Pulled", message if size else message.removesuffix("."), record)
        else:
            self._state.normal("Pulled", f'Container image "{reference}" already present on machine', record)
        if image.notice:
            self._state.warning("ImageDiffers", image.notice, record)
        record.pull_seconds = 0.0
        return image

    def _tell_failed_pull(self, record: ContainerRecord, reference: str, policy: str, error: PullError) -> None:
        if error.failure is PullFailure.NAME:
            self._state.warning("InspectFailed", str(error), record)
        elif error.failure is PullFailure.NEVER:
            self._state.warning("ErrImageNeverPull", str(error), record)
        else:
            if policy != "Always":
                self._state.normal("Pulling", f'Pulling image "{reference}"', record)
            self._state.warning("Failed", f'Failed to pull image "{reference}": {error}', record)
        self._state.warning("Failed", f"Error: {error.failure.value}", record)

    async def _unless_deleted(self, obtaining: Coroutine[Any, Any, Obtained]) -> Obtained:
        """Return what is obtained, however long that takes; a pod that is deleted does not wait for it."""
        task = asyncio.ensure_future(obtaining)
        try:
            while not task.done() and not self._state.terminating:
                self._state.wake.clear()
                woken = asyncio.ensure_future(self._state.wake.wait())
                await asyncio.wait([task, woken], return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
            if not task.done():
                raise PodDeletedError
            return task.result()
        finally:
            task.cancel()
            self._state.wake.set()


def image_id(image: Image) -> str:
    """Return the imageID of a container's status: by digest for a real image, else what it is made of."""
    if image.digest:
        return f"{parse_reference(image.reference).full_repository}@{image.digest}"
    return f"{'stand-in' if image.is_stand_in else 'sandbox'}://{image.reference}"
