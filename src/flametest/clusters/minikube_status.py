"""How Minikube's profile is, as ``minikube status --output=json`` tells it; pure.

Its exit code has a bit each for machine (1), cluster (2) and kubeconfig (4) not being as they should; 85 says that
there is no such profile. The text is an object for one node, a list for several, ``null`` when the machines are gone.
"""

import json
from dataclasses import dataclass
from enum import Enum

from flametest.clusters.minikube_tool import Answer

__all__ = ["STATUS_CODES", "ProfileState", "ProfileStatus", "read_status"]

_ABSENT = 85
STATUS_CODES = frozenset({*range(8), _ABSENT})


class ProfileState(Enum):
    """What can be done with the profile."""

    ABSENT = "there is none"
    RUNNING = "every node runs, and the kubeconfig leads to it"
    RESTARTABLE = "a start brings back what is not as it should be"
    BROKEN = "it names machines that are gone"


@dataclass(frozen=True, slots=True)
class ProfileStatus:
    """How the profile is.

    Attributes:
        state: what can be done with it.
        nodes: how many nodes it has; 0 when that cannot be told.
    """

    state: ProfileState
    nodes: int


def read_status(answer: Answer) -> ProfileStatus:
    """Return what an answer of ``minikube status --output=json`` says."""
    if answer.exit_code == _ABSENT:
        return ProfileStatus(ProfileState.ABSENT, 0)
    try:
        content = json.loads(answer.text)
    except ValueError:
        content = None
    nodes = [one for one in (content if isinstance(content, list) else [content]) if isinstance(one, dict)]
    if not nodes:
        return ProfileStatus(ProfileState.BROKEN, 0)
    return ProfileStatus(ProfileState.RUNNING if answer.exit_code == 0 else ProfileState.RESTARTABLE, len(nodes))
