"""What can go wrong with what asks the system under test."""

from flametest.model.errors import FlametestError

__all__ = ["LoadError"]


class LoadError(FlametestError):
    """The prober or the load generator could not be started, died, or did not reach its rate."""
