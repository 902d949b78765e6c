"""What a document is: an object to apply, none of Kubernetes' business, or an object with a mistake in it. Pure.

Folders of manifests hold other YAML as well: values of Helm, patches, files of Compose and of CI. Such a file is left
out and named; it must not make the whole folder unusable. But what was meant as an object and lacks a part is a
mistake, which nobody wants to find out from a system that is silently short of it.
"""

import re
from collections.abc import Iterable
from typing import Any

from flametest.manifests.errors import ManifestError
from flametest.manifests.kinds import is_builtin_group

__all__ = [
    "KUSTOMIZATIONS",
    "file_reason",
    "hook_reason",
    "is_chart",
    "is_list",
    "is_meant",
    "is_template",
    "judge",
    "patches_of",
]

_EDITORS = (
    (".swp", "an editor's swap file"),
    (".swo", "an editor's swap file"),
    ("~", "an editor's backup"),
    (".bak", "a backup"),
    (".orig", "a backup"),
    (".rej", "what a patch could not apply"),
    (".save", "an editor's backup"),
)
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_KUSTOMIZE_GROUP = "kustomize.config.k8s.io/"
_KIND = re.compile(r"\bkind\b[\"']?\s*:")
_HOOK = "helm.sh/hook"
_INSTALLING = {"crd-install", "pre-install", "post-install", "pre-upgrade", "post-upgrade"}
_JSON_PATCH_KEYS = {"op", "path"}
_PATCH_LISTS = ("patches", "patchesStrategicMerge", "patchesJson6902", "replacements", "transformers", "configurations")


def file_reason(name: str) -> str:
    """Return why a file can be no manifest by its name; empty when it may be one."""
    if name.startswith((".#", "._")) or (name.startswith("#") and name.endswith("#")):
        return "an editor's file" if not name.startswith("._") else "metadata of macOS"
    for ending, reason in _EDITORS:
        if name.endswith(ending):
            return reason
    return "a kustomization; -k applies it" if name in KUSTOMIZATIONS else ""


def judge(value: Any, source: str) -> str:
    """Return why a document is no manifest; empty when it is an object to apply.

    Raises:
        ManifestError: it was meant as an object, and lacks a part without which no cluster takes it.
    """
    if isinstance(value, list):
        return _list_reason(value)
    if not isinstance(value, dict):
        return f"a {type(value).__name__}, no object"
    if is_list(value):
        return ""
    version, kind = value.get("apiVersion"), value.get("kind")
    if _is_text(kind) and _is_text(version):
        return _object_reason(value, source)
    metadata = value.get("metadata")
    if (_is_text(kind) or _is_text(version)) and isinstance(metadata, dict):
        key = "apiVersion" if _is_text(kind) else "kind"
        raise ManifestError(f"{source}: the object has no {key}", f"add {key} to it")
    return _other_reason(value)


def hook_reason(value: dict[str, Any]) -> str:
    """Return why an object that `helm template` printed is none to apply; empty for all others.

    Helm runs hooks at their time: tests when it is asked to, and others when a release goes, which could remove what
    the system needs. https://helm.sh/docs/topics/charts_hooks/
    """
    metadata = value.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    hooks = annotations.get(_HOOK) if isinstance(annotations, dict) else None
    times = [one.strip() for one in hooks.split(",")] if isinstance(hooks, str) else []
    if not any(times) or _INSTALLING & set(times):
        return ""
    return f"a hook of Helm for {', '.join(filter(None, times))} and not for installing"


def is_list(value: Any) -> bool:
    """Return whether a document is a list, such as ``kubectl get -o yaml`` prints: its items are the objects."""
    if not isinstance(value, dict) or not _is_text(value.get("kind")):
        return False
    items = value.get("items")
    return value["kind"] == "List" or (value["kind"].endswith("List") and isinstance(items, list))


def is_chart(value: Any) -> bool:
    """Return whether a document is the Chart.yaml of a Helm chart."""
    return (
        isinstance(value, dict) and "kind" not in value and value.get("apiVersion") in ("v1", "v2") and "name" in value
    )


def is_meant(text: str) -> bool:
    """Return whether a text that could not be read looks as if it were to be a manifest."""
    return "apiVersion" in text or _KIND.search(text) is not None


def is_template(text: str) -> bool:
    """Return whether a text that could not be read looks like a template that has to be rendered first."""
    return "{{" in text or "{%" in text


def patches_of(value: Any) -> Iterable[str]:
    """Return the files that a kustomization names as patches or as parts of its own configuration, as it names them."""
    if not isinstance(value, dict):
        return
    for key in _PATCH_LISTS:
        entries = value.get(key)
        for entry in entries if isinstance(entries, list) else ():
            path = entry.get("path") if isinstance(entry, dict) else entry
            if isinstance(path, str) and "\n" not in path:
                yield path


def _object_reason(value: dict[str, Any], source: str) -> str:
    version, kind = str(value["apiVersion"]), str(value["kind"])
    if version.startswith(_KUSTOMIZE_GROUP):
        return "a kustomization; -k applies it"
    if kind == "Config" and "clusters" in value:
        return "a kubeconfig"
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if any(_is_placeholder(one) for one in (version, kind, metadata.get("name"), metadata.get("namespace"))):
        return "a template; render it first"
    if _is_text(metadata.get("name")) or _is_text(metadata.get("generateName")):
        return ""
    if not metadata and not is_builtin_group(version):
        return f"a {kind} of {version} without a name: the configuration of a program"
    if metadata.get("name") is not None and not isinstance(metadata["name"], str):
        raise ManifestError(f"{source}: the name of the {kind} is {metadata['name']!r}, no text", "put it in quotes")
    raise ManifestError(f"{source}: the {kind} has no metadata.name", "give it a name")


def _list_reason(value: list[Any]) -> str:
    if value and all(isinstance(one, dict) and one.keys() >= _JSON_PATCH_KEYS for one in value):
        return "a JSON patch"
    return "a list, no object"


def _other_reason(value: dict[str, Any]) -> str:
    if isinstance(value.get("services"), dict):
        return "a Compose file"
    if "jobs" in value or "stages" in value or "pipeline" in value:
        return "a file of a CI service"
    if "resources" in value and any(key in value for key in (*_PATCH_LISTS, "namePrefix", "images", "bases")):
        return "a kustomization; -k applies it"
    if is_chart(value):
        return "a Helm chart; render it by `helm template`"
    return "no object of Kubernetes: it has neither apiVersion nor kind" if "kind" not in value else "no apiVersion"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "${" in value or "{%" in value)
