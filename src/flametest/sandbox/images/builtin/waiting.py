"""Commands of busybox with which containers wait for others, for machines that lack them: `nc -z` and `nslookup`.

Init containers of many systems are nothing but ``until nc -z db 5432; do sleep 1; done``. Each is a small script of
bash, which stands in for the machine's own program where that is not installed.
"""

import shutil

from flametest.sandbox.images.image import TextFile

__all__ = ["waiting_commands"]

_NC = r"""#!/bin/bash
# nc -z [-v] [-w SECONDS] HOST PORT: whether something listens there.
seconds=5 scan= words=()
while [ $# -gt 0 ]; do
  case "$1" in
    -w) seconds=$2; shift ;;
    -w*) seconds=${1#-w} ;;
    -*[!zvn46-]*) scan=; words=(); break ;;
    -*) case "$1" in *z*) scan=yes ;; esac ;;
    *) words+=("$1") ;;
  esac
  shift
done
if [ -z "$scan" ] || [ ${#words[@]} -ne 2 ]; then
  echo "nc: only 'nc -z HOST PORT' is offered here, since this machine has no nc; install netcat-openbsd" >&2
  exit 2
fi
if timeout "$seconds" bash -c '>/dev/tcp/$0/$1' "${words[@]}" 2>/dev/null; then
  echo "${words[0]} (${words[0]}:${words[1]}) open" >&2
  exit 0
fi
echo "nc: ${words[0]} (${words[0]}:${words[1]}): cannot be reached" >&2
exit 1
"""
_NSLOOKUP = r"""#!/bin/bash
# nslookup [OPTION...] HOST [SERVER]: the host's addresses.
while case "${1:-}" in -*) true ;; *) false ;; esac; do shift; done
if [ -z "${1:-}" ]; then
  echo "nslookup: name a host; this machine has no nslookup; install bind9-dnsutils" >&2
  exit 2
fi
found=$(getent ahostsv4 "$1" | cut -d' ' -f1 | sort -u)
if [ -z "$found" ]; then
  echo "** server can't find $1: NXDOMAIN"
  exit 1
fi
for address in $found; do printf 'Name:\t%s\nAddress: %s\n' "$1" "$address"; done
"""


def waiting_commands() -> tuple[TextFile, ...]:
    """Return a script for each of these commands that this machine does not have."""
    scripts = {"nc": _NC, "nslookup": _NSLOOKUP}
    return tuple(
        TextFile(f"/usr/local/bin/{name}", text, 0o755) for name, text in scripts.items() if shutil.which(name) is None
    )
