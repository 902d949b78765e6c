"""What the other rooms use of a cluster: `connect` to a named context, and the few things that Flametest asks of it.

`KubeClient` only delegates; each thing is done in a module of its own. Safe to share between threads.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from flametest.kube.api import Api, open_api
from flametest.kube.apply import PLAIN, Applied, ApplyOptions, Changes, apply
from flametest.kube.further import applied_further
from flametest.kube.logs import collect_logs
from flametest.kube.namespaces import delete_namespace
from flametest.kube.readiness import Readiness, wait_ready, workloads_of
from flametest.kube.resources import Object, Resource
from flametest.kube.warnings import Warned, warnings_of
from flametest.kube.watch import Change, Interruption, Watch
from flametest.manifests import Manifest

__all__ = ["KubeClient", "connect"]


def connect(kubeconfig: Path | str, context: str) -> "KubeClient":
    """Return a client that is pinned to ``context`` of ``kubeconfig``; sends nothing yet.

    Args:
        kubeconfig: a file, or several with the system's path separator, as in KUBECONFIG.
        context: the context's name. There is no default: the current context is never used by accident.

    Raises:
        ContextError: no such file, or the context cannot be used.
    """
    return KubeClient(open_api(kubeconfig, context))


class KubeClient:
    """A cluster. Use `connect` to make one; close it, or use it in a ``with`` statement."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections; watches are their owners' to stop."""
        self.api.close()

    def apply(
        self,
        manifests: Path | Iterable[Manifest],
        saw: Callable[[Applied], None] | None = None,
        options: ApplyOptions = PLAIN,
    ) -> Changes:
        """Apply manifests and return what was done; see `flametest.kube.apply.apply`.

        Raises:
            ManifestError: a manifest cannot be read, or the API refused it; the message names file and document.
            KubeError: the API is unreachable.
        """
        return apply(self.api, manifests, saw, options)

    def wait_ready(
        self, namespace: str, timeout_seconds: float, saw: Callable[[str], None] | None = None
    ) -> tuple[Readiness, ...]:
        """Wait until every Deployment and StatefulSet is ready; see `flametest.kube.readiness.wait_ready`.

        Raises:
            NotReadyError: not all were ready in time, or there is none; the message says which pods and why.
            KubeError: the API is unreachable or refused.
        """
        return wait_ready(self.api, namespace, timeout_seconds, saw)

    def readiness(self, namespace: str) -> tuple[Readiness, ...]:
        """Return how each Deployment, StatefulSet and DaemonSet of ``namespace`` stands now.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        return workloads_of(self.api, namespace)

    def further(self, applied: Iterable[Applied]) -> tuple[Object, ...]:
        """Return the bare ReplicaSets, ReplicationControllers and Jobs among what was applied, as they are now.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        return applied_further(self.api, applied)

    def warnings(self, namespace: str, kind: str) -> tuple[Warned, ...]:
        """Return the Warning events about objects of ``kind``; see `flametest.kube.warnings`.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        return warnings_of(self.api, namespace, kind)

    def version(self) -> str:
        """Return what the API server calls its version, such as ``v1.36.2``.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        return str(self.api.get("/version")["gitVersion"])

    def watch(
        self,
        resource: Resource,
        namespace: str,
        on_change: Callable[[Change], None],
        on_interruption: Callable[[Interruption], None],
    ) -> Watch:
        """Return a watch, not yet started; see `flametest.kube.watch.Watch`."""
        return Watch(self.api, resource, namespace, on_change, on_interruption)

    def collect_logs(self, namespace: str, folder: Path) -> list[Path]:
        """Write every container's log into ``folder`` and return the files; see `flametest.kube.logs.collect_logs`.

        Raises:
            KubeError: the pods cannot be listed.
        """
        return collect_logs(self.api, namespace, folder)

    def delete_namespace(self, name: str, timeout_seconds: float = 60.0) -> bool:
        """Delete a namespace, wait until it is gone, and return whether there was one.

        Raises:
            NotReadyError: it was not gone in time.
            KubeError: the API is unreachable or refused.
        """
        return delete_namespace(self.api, name, timeout_seconds)
