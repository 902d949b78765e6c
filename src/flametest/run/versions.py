"""Which versions took part in a run, for the report's appendix."""

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["component_versions"]

_DISTRIBUTIONS = ("flametest", "chaostoolkit", "chaostoolkit-lib", "chaostoolkit-kubernetes", "kubernetes", "locust")


def component_versions(kubernetes_server: str) -> tuple[tuple[str, str], ...]:
    """Return component and version, in display order; ``kubernetes_server`` is what its API calls itself."""
    installed = tuple((name, _version(name)) for name in _DISTRIBUTIONS)
    host = (("Python", platform.python_version()), ("Linux", platform.release()))
    return (*installed, ("Kubernetes API", kubernetes_server), *host)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
