"""The control groups of containers with limits, for the runtime of real processes; lives as long as it."""

from flametest.sandbox.agent.runtime import ContainerOptions, StartError
from flametest.sandbox.cgroupfs import ControlGroup, ControlGroups

__all__ = ["Bounds"]


class Bounds:
    """Makes and removes them; makes none where the sandbox has no control groups."""

    def __init__(self, groups: ControlGroups | None) -> None:
        self._groups = groups
        # A process that was killed may still be in these.
        self._left: list[ControlGroup] = []

    def add(self, container: ContainerOptions) -> ControlGroup | None:
        """Return a new group for a container, None for one without limits.

        Raises:
            StartError: the kernel refuses them.
        """
        if self._groups is None or not container.limits:
            return None
        try:
            return self._groups.add(container.id, container.limits)
        except OSError as error:
            raise StartError(f"the limits of container {container.name} cannot be set: {error}") from error

    def remove(self, group: ControlGroup | None) -> None:
        """Remove a group, and those that could not be removed before."""
        if group is not None:
            self._left.append(group)
        self._left = [one for one in self._left if self._groups is not None and not self._groups.remove(one)]
