"""What can go wrong in a search."""

from flametest.model.errors import FlametestError

__all__ = ["SearchError"]


class SearchError(FlametestError):
    """A search that cannot begin or go on: nothing to combine, an unknown promise, a system that is ill by itself."""
