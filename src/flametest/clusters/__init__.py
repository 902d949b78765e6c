"""Cluster providers, one file each; `provide` finds one by the name that ``--cluster`` takes."""

from flametest.clusters.protocol import (
    DEFAULT_NAMESPACE,
    ENTRY_PORT,
    Access,
    Cluster,
    ClusterError,
    ClusterOptions,
    running,
)

__all__ = [
    "DEFAULT_NAMESPACE",
    "ENTRY_PORT",
    "Access",
    "Cluster",
    "ClusterError",
    "ClusterOptions",
    "provide",
    "running",
]

_CONTEXT_PREFIX = "context:"


def provide(name: str, options: ClusterOptions) -> Cluster:
    """Return the provider called ``name``; nothing is started or asked yet.

    Raises:
        ClusterError: there is none of that name.
    """
    # Each imports what only it needs.
    if name == "sandbox":
        try:
            from flametest.clusters.sandbox import SandboxCluster  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ClusterError(
                f"the sandbox is not installed: {error}", "install it with: pip install 'flametest[sandbox]'"
            ) from error

        return SandboxCluster(options)
    if name == "minikube":
        from flametest.clusters.minikube import MinikubeCluster  # noqa: PLC0415

        return MinikubeCluster(options)
    if name == "in-cluster":
        from flametest.clusters.incluster import InClusterCluster  # noqa: PLC0415

        return InClusterCluster(options)
    if name.startswith(_CONTEXT_PREFIX):
        from flametest.clusters.context import ContextCluster  # noqa: PLC0415

        return ContextCluster(name.removeprefix(_CONTEXT_PREFIX), options)
    raise ClusterError(
        f"no cluster provider is called {name!r}", "use --cluster sandbox, minikube, or context:NAME of a kubeconfig"
    )
