"""The cluster that this process runs in, by the service account of its pod.

What the kubelet mounts into every pod becomes a kubeconfig of Flametest's own, so that nothing else has to know that
there is no user's. The token is named by its file, which the kubelet renews; see
https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/. All else is as with a context: the cluster is
others' as well, and only what Flametest has made is its to end.
"""

import json
import os
from pathlib import Path

from flametest.clusters.context import ContextCluster
from flametest.clusters.protocol import Access, ClusterError, ClusterOptions

__all__ = ["ACCOUNT_FOLDER", "IN_CLUSTER", "InClusterCluster", "kubeconfig_document"]

IN_CLUSTER = "in-cluster"
ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_HOST, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


class InClusterCluster(ContextCluster):
    """The cluster around this pod.

    Args:
        options: as for every provider; a namespace and, where it cannot be found from inside, a URL.
        account: the folder with the service account's token and the API's certificate.
    """

    def __init__(self, options: ClusterOptions, account: Path = ACCOUNT_FOLDER) -> None:
        super().__init__(IN_CLUSTER, options)
        self._account = account

    @property
    def name(self) -> str:
        """Return ``in-cluster``."""
        return IN_CLUSTER

    def _access(self) -> Access:
        """Return how the API is reached from this pod; sends nothing.

        Raises:
            ClusterError: this is no pod, or one without a service account's token.
        """
        host, port = os.environ.get(_HOST, ""), os.environ.get(_PORT, "443")
        if not host or not (self._account / "token").is_file():
            raise ClusterError(
                f"this process is in no pod with a service account: {_HOST} or {self._account / 'token'} is missing",
                "start it with `flametest job`, or name a cluster with --cluster context:NAME",
            )
        options = self._options
        if options.state is None:
            raise ClusterError("no folder for state is named", "set FLAMETEST_HOME")
        path = options.state / "contexts" / IN_CLUSTER / "kubeconfig"
        document = kubeconfig_document(host, port, self._account, options.namespace)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ClusterError(
                f"kubeconfig {path} cannot be written: {error.strerror}", "name another folder by FLAMETEST_HOME"
            ) from error
        # Who made the Job has allowed the cluster.
        return Access(path, IN_CLUSTER, options.url, known=True, **options.asked)


def kubeconfig_document(host: str, port: str, account: Path, namespace: str) -> dict[str, object]:
    """Return a kubeconfig with one context; it holds no secret, only where the kubelet has put it."""
    shown = f"[{host}]" if ":" in host else host
    cluster = {"server": f"https://{shown}:{port}", "certificate-authority": str(account / "ca.crt")}
    context = {"cluster": IN_CLUSTER, "user": IN_CLUSTER, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": IN_CLUSTER,
        "clusters": [{"name": IN_CLUSTER, "cluster": cluster}],
        "users": [{"name": IN_CLUSTER, "user": {"tokenFile": str(account / "token")}}],
        "contexts": [{"name": IN_CLUSTER, "context": context}],
    }
