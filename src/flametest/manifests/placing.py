"""Which namespace each object goes to, as ``kubectl apply --namespace`` would have it. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from flametest.manifests.kinds import is_builtin_group
from flametest.manifests.reading import Manifest, Reading, last_ones

__all__ = ["placed"]


def placed(reading: Reading, namespace: str) -> Reading:
    """Return the objects, those that name no namespace in the one asked for; the others keep theirs, which is noted.

    Objects of kinds that only the cluster knows are left as they are: whether they have a namespace is its to tell.
    """
    manifests, notes = last_ones(_in(one, namespace) for one in reading.manifests)
    kept = [note for note in notes if note not in reading.notes]
    return replace(
        reading, manifests=tuple(manifests), notes=(*reading.notes, *kept, *_elsewhere(manifests, namespace))
    )


def _in(manifest: Manifest, namespace: str) -> Manifest:
    target = manifest.namespace_in(namespace)
    metadata = {key: value for key, value in manifest.object["metadata"].items() if key != "namespace"}
    if not is_builtin_group(manifest.api_version):
        return manifest
    if target:
        metadata["namespace"] = target
    return replace(manifest, object=manifest.object | {"metadata": metadata})


def _elsewhere(manifests: Iterable[Manifest], namespace: str) -> list[str]:
    counts = Counter(one.namespace for one in manifests if one.namespace not in ("", namespace))
    return [
        f"1 object names namespace {name} and goes there"
        if count == 1
        else f"{count} objects name namespace {name} and go there"
        for name, count in counts.items()
    ]
