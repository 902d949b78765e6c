"""What was deployed where: so that `status`, `env` and `down` mean the system that `up` has left, from any folder.

One small file in the state folder, by the name of the cluster. It is a convenience: what it says is never trusted to
delete or to break anything, and an unreadable one counts as empty.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["DeployedSystem", "forget", "recall", "remember"]

_FILE = "systems.json"


@dataclass(frozen=True, slots=True)
class DeployedSystem:
    """The namespace of a system, and its entry; empty where it has none."""

    namespace: str
    url: str


def remember(home: Path, cluster: str, system: DeployedSystem) -> None:
    """Keep what was deployed to a cluster; that it cannot be kept is no error."""
    _write(home, _read(home) | {cluster: asdict(system)})


def recall(home: Path, cluster: str) -> DeployedSystem | None:
    """Return what was deployed to a cluster last; None when nothing is known of it."""
    found = _read(home).get(cluster)
    if not isinstance(found, dict) or not found.get("namespace"):
        return None
    return DeployedSystem(str(found["namespace"]), str(found.get("url", "")))


def forget(home: Path, cluster: str) -> None:
    """Forget what was deployed to a cluster."""
    known = _read(home)
    if known.pop(cluster, None) is not None:
        _write(home, known)


def _read(home: Path) -> dict[str, object]:
    try:
        content = json.loads((home / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(home: Path, known: dict[str, object]) -> None:
    beside = home / f"{_FILE}.new"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
        beside.replace(home / _FILE)
    except OSError:
        return
