"""Manifests: the one reader of what kubectl reads, for every command and every cluster provider.

It knows files and no cluster. What a cluster makes of an object is `flametest.kube`'s.
"""

from flametest.manifests.contexts import BuildContext, find_contexts, images_of
from flametest.manifests.errors import ManifestError
from flametest.manifests.files import LeftOut
from flametest.manifests.kinds import is_builtin_group
from flametest.manifests.kustomize import build_kustomization, generated_names
from flametest.manifests.placing import placed
from flametest.manifests.reading import WORKLOADS, Manifest, Object, Reading, parse_manifests, read_manifests

__all__ = [
    "WORKLOADS",
    "BuildContext",
    "LeftOut",
    "Manifest",
    "ManifestError",
    "Object",
    "Reading",
    "build_kustomization",
    "find_contexts",
    "generated_names",
    "images_of",
    "is_builtin_group",
    "parse_manifests",
    "placed",
    "read_manifests",
]
