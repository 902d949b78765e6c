"""Storage classes: which claims wait for the first pod that uses them, so that their volume is on its node. Pure.

Source: https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
"""

from collections.abc import Iterable

from flametest.sandbox.objects import Object

__all__ = ["SELECTED_NODE", "STORAGE_CLASSES", "waits_for_consumer"]

STORAGE_CLASSES = "storageclasses.storage.k8s.io"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""The annotation by which the scheduler tells on which node the volume of a claim has to be."""
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_WAITS = "WaitForFirstConsumer"


def waits_for_consumer(claim: Object, classes: Iterable[Object]) -> bool:
    """Return whether a claim's class, which is the default one where it names none, has it wait for a pod."""
    name = claim["spec"].get("storageClassName")
    own = (each for each in classes if (_is_default(each) if name is None else each["metadata"]["name"] == name))
    return any(each.get("volumeBindingMode") == _WAITS for each in own)


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return bool(annotations.get(_DEFAULT) == "true")
