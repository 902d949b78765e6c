"""What a failed call of ``minikube`` means, and what to do about it; pure functions of what the program said.

Minikube ends its own errors with a line ``Exiting due to IDENTIFIER: message``. The identifiers are those of
pkg/minikube/reason of its source, which is what its documentation of error codes is made from; the same ones are used
by 1.37, 1.38 and the branch that 1.39 comes from. A kind of failure is told by the beginning or a part of them.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from flametest.clusters.protocol import ClusterError

__all__ = ["RECREATE", "explain", "explain_time_limit"]

RECREATE = "remove it with `flametest down --cluster minikube --delete`, then start again"
"""The remedy for a profile that cannot be fixed."""

_SANDBOX = "or use --cluster sandbox, which needs none of it"
_IDENTIFIER = re.compile(r"Exiting due to ([A-Z][A-Z0-9_]+): *(.*)")
_TAIL_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of failure: which identifiers it has, what it means and what helps."""

    identifiers: re.Pattern[str]
    meaning: str
    remedy: str


_LATE = _Kind(
    re.compile("TIMEOUT|UNHEALTHY"),
    "a part of it was not ready in time",
    f"try again on a less busy machine, since what was downloaded is kept; when that does not help, {RECREATE}",
)
_WAITED = re.compile(r"\bwait \d\S* for node:")
"""Said of any part that did not get ready, whatever the identifier is (pkg/minikube/node/start.go)."""

# The first that matches counts.
_KINDS = (
    _Kind(
        re.compile("MEMORY|OOM"),
        "there is not enough memory for its nodes",
        f"end other programs, give Docker more memory, ask for fewer --nodes, {_SANDBOX}",
    ),
    _Kind(
        re.compile("CORES"),
        "there are not enough processors: Kubernetes needs two",
        f"use a machine with two or more, give Docker more of them, {_SANDBOX}",
    ),
    _Kind(
        re.compile("STORAGE$|NOSPACE"),
        "there is not enough disk space",
        "make room where Docker or Minikube keeps its files, such as by `docker system prune`, and start again",
    ),
    _Kind(
        re.compile("^DRV_AS_ROOT|^DRV_NEEDS_ROOT"),
        "its driver and this user do not go together",
        "run the command as an ordinary user who may use Docker, or choose another --driver",
    ),
    _Kind(
        re.compile("^GUEST_DRIVER_MISMATCH|^K8S_DOWNGRADE|^GUEST_CNI_INCOMPATIBLE"),
        "the profile was made with other settings",
        RECREATE,
    ),
    _Kind(
        re.compile("NOT_DETECTED|^DRV_NOT_FOUND|^PROVIDER_NOT_FOUND|^PROVIDER_[A-Z0-9]+_NOT_FOUND|^DRV_UNSUPPORTED"),
        "it has no driver: nothing on this machine can run its nodes",
        f"install Docker, or name what is there with --driver (https://minikube.sigs.k8s.io/docs/drivers/), {_SANDBOX}",
    ),
    _Kind(
        re.compile("^DRV_|^PROVIDER_|^PR_"),
        "its driver does not work",
        "start it, and see that this user may use it: with Docker, `docker info` has to work without sudo",
    ),
    _Kind(
        re.compile("^K8S_NEW_UNSUPPORTED|^K8S_FAIL_CONNECT|^K8S_OLD_UNSUPPORTED"),
        "it cannot provide that version of Kubernetes",
        "install the newest Minikube, and see that this machine reaches the internet",
    ),
    _Kind(
        re.compile("^INET_"),
        "it could not download what it needs",
        "see that this machine reaches the internet; behind a proxy set HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    ),
    _Kind(
        re.compile("^GUEST_IMAGE_LOAD"),
        "an image could not be loaded",
        "name a tar archive, or an image that `docker image ls` shows or a registry offers",
    ),
    _Kind(
        re.compile("^GUEST_IMAGE_BUILD"),
        "an image could not be built",
        "see that the folder of its Dockerfile is complete and that the nodes reach the registry of its base image",
    ),
    _Kind(
        re.compile("^GUEST_PORT_IN_USE"),
        "a port that it publishes is taken",
        f"free the port, or give the profile another one: {RECREATE}",
    ),
    _LATE,
    _Kind(re.compile("^GUEST_|^HOST_|^K8S_|^RUNTIME_|^IF_"), "its profile is broken", RECREATE),
)


def explain(arguments: tuple[str, ...], exit_code: int, said: str, log: Path) -> ClusterError:
    """Return the error for a call that failed.

    Args:
        arguments: the command.
        exit_code: how it ended.
        said: everything that it wrote.
        log: where the user finds all of that.
    """
    command = _named(arguments)
    identified = list(_IDENTIFIER.finditer(said))
    if not identified:
        last = _last_line(said)
        message = f"`{command}` ended with exit code {exit_code}{': ' if last else ''}{last}"
        return ClusterError(message, f"read {log}, and try the command by hand")
    identifier, message = identified[-1].groups()
    matching = (one for one in _KINDS if one.identifiers.search(identifier))
    kind = _LATE if _WAITED.search(message) else next(matching, None)
    meaning = f"{kind.meaning} " if kind else ""
    remedy = f"{kind.remedy}; all that it said is in {log}" if kind else f"read {log}, and try the command by hand"
    return ClusterError(f"`{command}` failed: {meaning}({identifier}: {_shortened(message)})", remedy)


def explain_time_limit(arguments: tuple[str, ...], seconds_max: float, log: Path) -> ClusterError:
    """Return the error for a call that was ended at its time limit."""
    return ClusterError(
        f"`{_named(arguments)}` was not done after {seconds_max:.0f} s and has been ended",
        f"read {log} for what it was at; try again, since what was downloaded is kept, and when that does not help, "
        f"{RECREATE}",
    )


def _named(arguments: tuple[str, ...]) -> str:
    """Return the command without its options, such as ``minikube image build``."""
    words = [word for word in arguments if not word.startswith("-")]
    return " ".join(["minikube", *words[: 2 if words[0] in {"addons", "image"} else 1]])


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("# ")]
    return _shortened(lines[-1]) if lines else ""


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _TAIL_CHARACTERS else f"{text[:_TAIL_CHARACTERS]} ..."
