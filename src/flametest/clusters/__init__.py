"""Cluster providers, one file each; `provide` finds one by the name that ``--cluster`` takes."""

from flametest.clusters.protocol import Access, Cluster, ClusterError, ClusterOptions

__all__ = ["Access", "Cluster", "ClusterError", "ClusterOptions", "provide"]


def provide(name: str, options: ClusterOptions) -> Cluster:
    """Return the provider called ``name``.

    Raises:
        ClusterError: there is none of that name.
    """
    if name == "sandbox":
        from flametest.clusters.sandbox import SandboxCluster  # noqa: PLC0415 (imports what only it needs)

        return SandboxCluster(options)
    raise ClusterError(f"no cluster provider is called {name!r}", "use --cluster sandbox")
