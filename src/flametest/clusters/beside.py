"""Further clusters beside one that runs, for scenarios that run at the same time; only the sandbox has any."""

from collections.abc import Iterable

from flametest.clusters.loopback import reserve_address
from flametest.clusters.protocol import Cluster, ClusterError

__all__ = ["beside"]


def beside(cluster: Cluster, names: Iterable[str]) -> tuple[Cluster, ...]:
    """Return further clusters of these names like ``cluster``, each with a state folder and an address of its own.

    None of them is started.

    Raises:
        ClusterError: there can be only one of that kind.
    """
    if cluster.name != "sandbox":
        raise ClusterError(
            f"scenarios cannot run at the same time on {cluster.name}: each needs a system of its own, and only "
            "sandboxes can be started side by side",
            "leave --parallel out, or use --cluster sandbox",
        )
    from flametest.clusters.sandbox import SandboxCluster  # noqa: PLC0415 (needs what other clusters do without)

    assert isinstance(cluster, SandboxCluster)
    return tuple(cluster.beside(name, reserve_address(name)) for name in names)
