"""Kustomizations, which kubectl builds: its own program is the only one that is sure to build what it applies."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from flametest.manifests.documents import decoded, documents
from flametest.manifests.errors import ManifestError
from flametest.manifests.judging import KUSTOMIZATIONS
from flametest.manifests.reading import Reading, reading_of

__all__ = ["build_kustomization", "generated_names"]

_SECONDS_MAX = 120.0  # a kustomization may name others on the network


def build_kustomization(folder: Path) -> Reading:
    """Return the objects that ``kubectl apply -k folder`` would apply.

    Raises:
        ManifestError: there is no kubectl or no kustomization, or it cannot be built; with kubectl's own words.
    """
    if not any((folder / name).is_file() for name in KUSTOMIZATIONS):
        raise ManifestError(
            f"folder {folder} holds no kustomization", f"expected one of {', '.join(KUSTOMIZATIONS)} in it"
        )
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise ManifestError(
            f"{folder} is a kustomization, which only kubectl can build, and there is no kubectl on the PATH",
            "install kubectl; or build it elsewhere by `kubectl kustomize DIR > system.yaml`, and name that file",
        )
    try:
        done = subprocess.run(
            [kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ManifestError(
            f"kubectl has not built kustomization {folder} within {_SECONDS_MAX:g} s",
            f"try `kubectl kustomize {folder}`: it may wait for something on the network",
        ) from error
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise ManifestError(f"kustomization {folder} cannot be built: {said}", f"try `kubectl kustomize {folder}`")
    return reading_of(done.stdout, f"kustomization {folder}")


def generated_names(folder: Path) -> frozenset[str]:
    """Return the names of the ConfigMaps and Secrets that the kustomizations in and below a folder generate.

    A kustomization that cannot be read generates none.
    """
    files = (path for name in KUSTOMIZATIONS for path in folder.rglob(name) if path.is_file())
    return frozenset(name for path in files for name in _generated(path))


def _generated(path: Path) -> Iterator[str]:
    try:
        found = documents(decoded(path.read_bytes(), path.name), path.name)
    except (OSError, ManifestError):
        return
    for value in (one.value for one in found if isinstance(one.value, dict)):
        for key in ("configMapGenerator", "secretGenerator"):
            entries = value.get(key)
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                    yield entry["name"]
