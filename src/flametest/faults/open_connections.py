"""Connections that were open before an edge led through the proxy: ended by the server's own means, where it has any.

A pool keeps its connections, and those do not follow a Service that is led elsewhere. Redis (and Valkey) and PostgreSQL
can end single connections, without a password from inside of their own container; clients then connect again, through
the proxy. Whatever else listens there keeps what it has, and that is told.
"""

from collections.abc import Sequence

from flametest.faults.switches import running
from flametest.kube import KubeClient
from flametest.kube.errors import KubeError
from flametest.kube.execute import execute
from flametest.kube.resources import Object

__all__ = ["end_open_connections"]

# $1: the port; $2: "only" or "but"; then addresses. Prints what it is and how many it has ended.
_SCRIPT = r"""
port=$1; how=$2; shift 2; named=" $* "
meant() {
  case $1 in ''|127.*|::1) return 1;; esac
  case "$named" in *" $1 "*) [ "$how" = only ];; *) [ "$how" = but ];; esac
}
ended=0
for cli in redis-cli valkey-cli; do
  command -v $cli >/dev/null || continue
  # What listens there may be no Redis, however its image came by this program.
  list=$($cli -p "$port" CLIENT LIST TYPE normal 2>/dev/null) || continue
  case $list in id=*) ;; *) continue;; esac
  while read -r id address _; do
    address=${address#addr=}
    meant "${address%:*}" && [ "$($cli -p "$port" CLIENT KILL ID "${id#id=}")" = 1 ] && ended=$((ended + 1))
  done <<EOL
$list
EOL
  echo "redis $ended"; exit 0
done
if command -v postgres >/dev/null || command -v pg_isready >/dev/null; then
  for folder in /proc/[0-9]*; do
    title=$(tr '\0' ' ' 2>/dev/null <"$folder/cmdline") || continue
    case $title in "postgres: "*"("[0-9]*")"*) ;; *) continue;; esac
    address=${title%%(*}
    meant "${address##* }" && kill -TERM "${folder#/proc/}" 2>/dev/null && ended=$((ended + 1))
  done
  echo "postgres $ended"; exit 0
fi
echo "other 0"
"""


def end_open_connections(
    client: KubeClient, pods: Sequence[Object], port: int, callers: Sequence[str], proxy: Sequence[str]
) -> str:
    """End connections of a Service's pods that do not come from the proxy, and return what was done, in a phrase.

    Args:
        client: the cluster.
        pods: the pods behind the Service.
        port: the port at which they listen.
        callers: whose connections are meant; empty for everybody's.
        proxy: the proxy's own addresses, whose connections stay.

    Returns:
        Such as ``3 open connections of redis ended``; empty where none was known how to end.
    """
    how = ["only", *callers] if callers else ["but", *proxy]
    ended, kinds = 0, set()
    for pod in running(list(pods)):
        place = (str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"]))
        try:
            done = execute(client.api, place, ["sh", "-c", _SCRIPT, "sh", str(port), *how])
        except KubeError:  # a container without a shell, or one in which nothing may be run
            continue
        kind, _, count = done.output.strip().rpartition("\n")[2].partition(" ")
        if done.code == 0 and count.isdigit() and kind != "other":
            ended += int(count)
            kinds.add(kind)
    return f"{ended} open connections of {' and '.join(sorted(kinds))} ended" if kinds else ""
