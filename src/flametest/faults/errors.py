"""What can go wrong in this room.

FaultError               the root; all have a message and a remedy
├── BlastRadiusError     the targets are outside of what may be hit; nothing was touched
├── UndoError            an undo record cannot be written or read; nothing was injected
├── GuardianError        the guardian could not be started; nothing was injected
└── HealError            a fault could not be taken back
"""

from flametest.model.errors import FlametestError

__all__ = ["BlastRadiusError", "FaultError", "GuardianError", "HealError", "UndoError"]


class FaultError(FlametestError):
    """A fault that cannot be injected as it is asked for."""


class BlastRadiusError(FaultError):
    """The targets are outside of what may be hit; nothing was touched."""


class UndoError(FaultError):
    """An undo record cannot be written or read; without one nothing is injected."""


class GuardianError(FaultError):
    """The guardian could not be started; without one nothing is injected."""


class HealError(FaultError):
    """A fault could not be taken back."""
