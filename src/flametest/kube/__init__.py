"""A narrow client over the official ``kubernetes`` package: connect, apply, wait, watch, logs, stamps.

It serves `flametest.clusters`, `flametest.faults`, `flametest.chaos` and `flametest.run`, and works on any cluster.
Importing it is cheap: the official package takes more than a second, so only what needs it loads it.

client       `KubeClient`, what everybody else uses, and `connect`, which makes one for a named context
api          requests in plain JSON objects
kubeconfigs  one context of the user's kubeconfig files, by itself
entryfields  typed readers of what stands in such an entry
credentials  who asks, and in whose name
programs     credential programs that a kubeconfig names, in bounded time
connection   how an API server is reached: certificates, proxy, credentials
websockets   exec of the official package, and port forwards, on that connection
forwarding   a Service's port as a UNIX socket of this machine
timelimits   how long is waited for what
explanations why there was no answer, in words
pages        whole lists, page by page
resources    kinds, their plurals and paths
served       which kinds of manifests a cluster serves
further      how workloads stand that few systems have: bare ReplicaSets, ReplicationControllers, Jobs
hopeless     what will not get ready by itself; pure
apply        bring the cluster to what manifests say
namespaces   wait for a namespace, delete one with everything in it
readiness    wait until every Deployment and StatefulSet is ready, or say why not
watch        follow a kind, each change stamped on receipt
pods         which of the pods that are there are alive, and whose they are; pure
shown        what a watch has shown so far, to be compared with a list
snapshots    keep an object as it is, and make it again
execute      run a command in a pod's container
stamps       when exactly a mutating request was sent and answered
warnings     what the cluster itself says is wrong
logs         fetch the logs of all pods into files
rights       what one may do, and whether one may
restricted   what pods of Flametest's own may do; pure
errors       the error tree
"""

from flametest.kube.client import KubeClient, connect
from flametest.kube.errors import KubeError

__all__ = ["KubeClient", "KubeError", "connect"]
