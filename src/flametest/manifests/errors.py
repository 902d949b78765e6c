"""What can be wrong with a manifest before any cluster has seen it."""

from flametest.model.errors import FlametestError

__all__ = ["ManifestError"]


class ManifestError(FlametestError):
    """Manifests that cannot be read; the message names file and document."""
