"""Reading manifests: a folder of YAML files becomes a list of objects, each with the place that it came from.

Pure but for reading the files. Files come in the order of their names, documents in the order of the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.kube.errors import ManifestError
from flametest.kube.resources import Object

__all__ = ["Manifest", "parse_manifests", "read_manifests"]

_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object to apply, and where it was written: ``source`` is such as ``20-api.yaml, document 2``."""

    source: str
    object: Object

    @property
    def kind(self) -> str:
        """Return the object's kind."""
        return str(self.object["kind"])

    @property
    def name(self) -> str:
        """Return the object's name."""
        return str(self.object["metadata"]["name"])


def read_manifests(folder: Path) -> list[Manifest]:
    """Return the objects of every YAML and JSON file of ``folder``, in the order of names and documents.

    Raises:
        ManifestError: the folder holds none, or one cannot be read; the message names file and document.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix in _SUFFIXES and path.is_file())
    if not files:
        raise ManifestError(f"folder {folder} holds no manifest", "expected *.yaml, *.yml or *.json files")
    manifests: list[Manifest] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ManifestError(f"{file} cannot be read: {error}", "mend or remove the file") from error
        manifests.extend(parse_manifests(text, file.name))
    return manifests


def parse_manifests(text: str, file_name: str) -> list[Manifest]:
    """Return the objects of one file's text; the items of a ``List`` count as objects of their own.

    Raises:
        ManifestError: a document is no YAML or no object; the message names file and document.
    """
    import yaml  # noqa: PLC0415 (only who reads manifests needs it)

    manifests: list[Manifest] = []
    documents = yaml.safe_load_all(text)
    number = 0
    while True:
        number += 1
        source = f"{file_name}, document {number}"
        try:
            document = next(documents, _END)
        except yaml.YAMLError as error:
            raise ManifestError(
                f"{source}: no valid YAML: {_one_line(error)}", "mend the file at that place"
            ) from error
        if document is _END:
            return manifests
        if document is not None:
            manifests.extend(Manifest(source, one) for one in _objects(document, source))


_END = object()


def _objects(document: Any, source: str) -> Iterator[Object]:
    if not isinstance(document, dict):
        raise ManifestError(f"{source}: expected an object, found {type(document).__name__}", "write one object")
    if document.get("kind") == "List" and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _objects(item, source)
        return
    for key in ("apiVersion", "kind"):
        if not isinstance(document.get(key), str) or not document[key]:
            raise ManifestError(f"{source}: the object has no {key}", f"add {key} to it")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise ManifestError(f"{source}: the {document['kind']} has no metadata.name", "give it a name")
    yield document


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
