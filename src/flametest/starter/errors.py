"""What can go wrong when a system is looked at, or its folder written."""

from flametest.model.errors import FlametestError

__all__ = ["StarterError"]


class StarterError(FlametestError):
    """A system that cannot be understood, holds nothing to break, or a folder that cannot be written."""
