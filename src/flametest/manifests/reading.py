"""Reading manifests: files and folders become a list of objects, each with the place that it came from.

This is the one place that does so, for `up`, `run`, `init`, `job` and every cluster provider. Only files are read.
Files come in the order in which kubectl walks a folder, documents in the order of the file; what others need in order
to be admitted at all, such as their Namespace, comes before them. Of an object that stands twice the last one counts,
as it would after ``kubectl apply``.
"""

import codecs
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.manifests.documents import Document, decoded, documents
from flametest.manifests.errors import ManifestError
from flametest.manifests.files import SUFFIXES, LeftOut, find_files
from flametest.manifests.judging import hook_reason, is_list, is_meant, is_template, judge
from flametest.manifests.kinds import is_cluster_scoped, precedence
from flametest.model.plurals import counted

__all__ = ["WORKLOADS", "Manifest", "Object", "Reading", "last_ones", "parse_manifests", "read_manifests", "reading_of"]

Object = dict[str, Any]
WORKLOADS = ("CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet")
_MISTAKES_MAX = 10  # what a person reads at once; the rest is counted


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object to apply, and where it was written.

    Attributes:
        source: such as ``20-api.yaml, document 2``.
        object: the object.
        line: in which line of its file it begins; 0 when it is in none.
    """

    source: str
    object: Object
    line: int = 0

    @property
    def kind(self) -> str:
        """Return the object's kind."""
        return str(self.object["kind"])

    @property
    def api_version(self) -> str:
        """Return the object's API version."""
        return str(self.object["apiVersion"])

    @property
    def name(self) -> str:
        """Return the object's name; of one whose name the cluster makes up, what it begins with."""
        metadata = self.object["metadata"]
        return str(metadata.get("name") or metadata.get("generateName") or "")

    @property
    def is_generated(self) -> bool:
        """Return whether the cluster makes up the object's name, so that it is created each time."""
        return not self.object["metadata"].get("name")

    @property
    def namespace(self) -> str:
        """Return the namespace that the object names; empty when it names none."""
        return str(self.object["metadata"].get("namespace") or "")

    @property
    def pod_spec(self) -> Object:
        """Return the specification of the pods that a workload makes; empty for what makes none."""
        if self.kind not in WORKLOADS:
            return {}
        spec = self.object.get("spec") or {}
        if self.kind == "CronJob":
            spec = (spec.get("jobTemplate") or {}).get("spec") or {}
        found = spec if self.kind == "Pod" else (spec.get("template") or {}).get("spec") or {}
        return found if isinstance(found, dict) else {}

    def namespace_in(self, default: str) -> str:
        """Return the namespace that the object goes to where ``default`` is the one asked for; empty for none."""
        return "" if is_cluster_scoped(self.api_version, self.kind) else self.namespace or default


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        manifests: the objects in the order in which they are applied.
        files: where they stand, by the names by which they are told.
        left_out: what was looked at and is no manifest.
        notes: what a user should know, each a sentence.
        origin: what was asked for, such as ``k8s``.
        digest: SHA-256 over names and contents of the files, as hexadecimal digits.
    """

    manifests: tuple[Manifest, ...]
    files: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    origin: str = ""
    digest: str = ""

    @property
    def images(self) -> frozenset[str]:
        """Return the images of all containers, also of templates inside objects of kinds that nobody knows here."""
        return frozenset(image for one in self.manifests for image in _images(one.object))

    def namespace(self, default: str) -> str:
        """Return the namespace of the system: the one that its workloads name, ``default`` if some name none."""
        named = Counter(one.namespace for one in self.manifests if one.kind in WORKLOADS)
        if not named or named[""] or named[default]:
            return default
        return named.most_common(1)[0][0]


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _images(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key == "image" and isinstance(one, str):
                yield one
            else:
                yield from _images(one)


def read_manifests(*sources: Path) -> Reading:
    """Return the objects of files and folders, with all that is below these.

    Raises:
        ManifestError: they hold no object, or one cannot be read; the message names file and document.
    """
    found = find_files(sources)
    manifests: list[Manifest] = []
    left_out, mistakes = list(found.left_out), []
    files: list[str] = []
    notes: list[str] = []
    digest = hashlib.sha256()
    for path, name in found.files.items():
        try:
            content = _content(path, name)
            own, others, repeated = _file_objects(content, name)
        except ManifestError as error:
            mistakes.append(error)
            continue
        left_out += others
        if own:
            manifests += own
            files.append(name)
            notes += repeated
            if not _is_utf8(content):
                notes.append(
                    f"{name} is not all UTF-8: what is not has become \N{REPLACEMENT CHARACTER}, as with kubectl"
                )
            digest.update(name.encode() + b"\0" + content + b"\0")
    if mistakes:
        raise _joined(mistakes)
    if not manifests:
        raise _nothing(sources, left_out)
    chosen, twice = last_ones(manifests)
    return Reading(tuple(chosen), tuple(files), tuple(left_out), (*notes, *twice), _told(sources), digest.hexdigest())


def parse_manifests(text: str, name: str) -> list[Manifest]:
    """Return the objects of one file's text; the items of a list count as objects of their own.

    Raises:
        ManifestError: a document cannot be read, or is no object; the message names file and document.
    """
    return list(_objects(documents(text, name)))


def reading_of(text: str, name: str) -> Reading:
    """Return what the output of another program holds, such as that of ``kubectl kustomize``.

    Raises:
        ManifestError: it cannot be read, or holds no object.
    """
    manifests, hooks = _without_hooks(parse_manifests(text, name), name)
    if not manifests:
        raise ManifestError(f"{name} holds no manifest", "expected objects of Kubernetes in YAML or JSON")
    chosen, notes = last_ones(manifests)
    return Reading(tuple(chosen), (name,), tuple(hooks), tuple(notes), name, hashlib.sha256(text.encode()).hexdigest())


def _content(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{name} cannot be read: {error.strerror}", "make it readable, or remove it") from error


def _is_utf8(content: bytes) -> bool:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _file_objects(content: bytes, name: str) -> tuple[list[Manifest], list[LeftOut], list[str]]:
    """Return a file's objects, what is left out of it and why, and what is to be said of its keys.

    Raises:
        ManifestError: it was meant to have some.
    """
    text = decoded(content, name)
    try:
        found = documents(text, name)
    except ManifestError:
        if is_template(text):
            return [], [LeftOut(name, "a template; render it first")], []
        if name.endswith(".json") and not is_meant(text):  # such as the settings of a compiler, with comments in them
            return [], [LeftOut(name, "neither readable nor like a manifest")], []
        raise
    reasons = [judge(one.value, one.source) for one in found if one.value is not None]
    if reasons and all(reasons):
        return [], [LeftOut(name, reasons[0])], []
    own, hooks = _without_hooks(_objects(found), name)
    repeated = [
        f"key {key!r} is defined twice in one mapping of {name}, again in line {line}: the last one counts"
        for document in found
        for key, line in document.repeated
    ]
    left_out = hooks if own or hooks else [LeftOut(name, "a list without items" if reasons else "empty")]
    return own, left_out, repeated


def _without_hooks(manifests: Iterable[Manifest], name: str) -> tuple[list[Manifest], list[LeftOut]]:
    """Return what is to be applied, and the hooks of Helm that are not."""
    own: list[Manifest] = []
    left_out: list[LeftOut] = []
    for one in manifests:
        if reason := hook_reason(one.object):
            left_out.append(LeftOut(f"{one.kind} {one.name} of {name}", reason))
        else:
            own.append(one)
    return own, left_out


def _objects(found: Iterable[Document]) -> Iterator[Manifest]:
    for document in found:
        if document.value is not None:
            yield from _parts(document)


def _parts(document: Document) -> Iterator[Manifest]:
    """Yield a document's object, or those of a list.

    Raises:
        ManifestError: it is none.
    """
    value, source = document.value, document.source
    if is_list(value):
        items = value.get("items")
        items = items if isinstance(items, list) else []
        lines = document.item_lines if len(document.item_lines) == len(items) else (document.line,) * len(items)
        for item, line in zip(items, lines, strict=True):
            yield from _parts(Document(item, source, line))
        return
    if reason := judge(value, source):
        raise ManifestError(f"{source}: expected an object, found {reason}", "write one object, or remove it")
    yield Manifest(source, value, document.line)


def last_ones(manifests: Iterable[Manifest]) -> tuple[list[Manifest], list[str]]:
    """Return each object once, as it is written last, in the order of first writing, and what was replaced so."""
    chosen: dict[object, Manifest] = {}
    notes = []
    for number, one in enumerate(manifests):
        key = number if one.is_generated else (one.api_version.rpartition("/")[0], one.kind, one.namespace, one.name)
        if key in chosen:
            notes.append(
                f"{one.kind} {one.name} stands in {chosen[key].source} and in {one.source}: the last one counts"
            )
        chosen[key] = one
    return sorted(chosen.values(), key=lambda one: precedence(one.kind)), notes


def _joined(mistakes: Sequence[ManifestError]) -> ManifestError:
    if len(mistakes) == 1:
        return mistakes[0]
    told = [one.message for one in mistakes[:_MISTAKES_MAX]]
    if len(mistakes) > _MISTAKES_MAX:
        told.append(f"and {counted(len(mistakes) - _MISTAKES_MAX, 'file')} more")
    return ManifestError(f"{len(mistakes)} files cannot be read", "fix these files, or remove them", details=told)


def _told(sources: Sequence[Path]) -> str:
    return " and ".join(f"{'folder ' if one.is_dir() else ''}{_short(one)}" for one in sources)


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path != Path.cwd() and path.is_relative_to(Path.cwd()) else path


def _nothing(sources: Sequence[Path], left_out: Sequence[LeftOut]) -> ManifestError:
    named = _told(sources)
    seen = f"; left out: {', '.join(map(str, left_out))}" if left_out else ""
    expected = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
    return ManifestError(
        f"{named} {'holds' if len(sources) == 1 else 'hold'} no manifest{seen}",
        f"expected objects of Kubernetes in files {expected}",
    )
