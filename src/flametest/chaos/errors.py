"""What can go wrong in this room.

RecorderError          the recorder cannot start, or can no longer be trusted
├── NoRecorderError    an action or probe was used without the recorder control
└── HarmError          users suffered more than was allowed, and everything is healed
UnsafeExperimentError  an experiment that would hit more than it means to
MalformedExperimentError  an experiment that Chaos Toolkit cannot run
"""

from flametest.model.errors import FlametestError

__all__ = ["HarmError", "MalformedExperimentError", "NoRecorderError", "RecorderError", "UnsafeExperimentError"]


class RecorderError(FlametestError):
    """The recorder cannot start, or what it records can no longer be trusted."""


class NoRecorderError(RecorderError):
    """An action or probe of Flametest was used in an experiment without the recorder control."""


class HarmError(RecorderError):
    """Users suffered more than ``--abort-when`` allows: all faults are healed, and none is injected any more."""


class UnsafeExperimentError(FlametestError):
    """An experiment that would hit more than it means to; nothing was injected."""


class MalformedExperimentError(FlametestError):
    """An experiment that Chaos Toolkit cannot run as it is written; nothing was injected."""
