"""One context of a user's kubeconfig files, by itself: what a copy of it for Flametest alone consists of.

Files are merged as kubectl merges those of KUBECONFIG: the first file that has an entry of a name wins. See
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/. Nothing here asks a cluster, and
nothing is taken to be well-formed: whatever a file holds, it is understood, or refused in one line.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flametest.kube.errors import ContextError

__all__ = ["OWN_EXTENSION", "ContextEntry", "kubeconfig_files", "read_context"]

OWN_EXTENSION = "flametest.dev/own"
"""Name of the extension by which the entry of a cluster says that Flametest has made it for itself."""

_CLUSTER_FILES = ("certificate-authority",)
_USER_FILES = ("client-certificate", "client-key", "tokenFile")
_VALUES_MAX = (
    100_000  # a kubeconfig with a thousand clusters has a tenth of it; aliases can make billions of a few lines
)


@dataclass(frozen=True, slots=True)
class ContextEntry:
    """A context with its cluster and its user, paths made absolute.

    Attributes:
        name: the context's name.
        cluster: what stands in its cluster's entry.
        user: what stands in its user's entry; empty for a cluster that asks for no credentials.
    """

    name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]

    @property
    def server(self) -> str:
        """Return the API server's address."""
        return str(self.cluster.get("server", ""))

    @property
    def is_own(self) -> bool:
        """Return whether the entry was written by Flametest for a cluster that is nobody else's."""
        return any(one.get("name") == OWN_EXTENSION for one in _list(self.cluster, "extensions"))

    def document(self, namespace: str) -> dict[str, Any]:
        """Return a kubeconfig that holds this context and nothing else; ``namespace`` becomes its default."""
        context = {"cluster": self.name, "user": self.name, "namespace": namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.name,
            "clusters": [{"name": self.name, "cluster": dict(self.cluster)}],
            "users": [{"name": self.name, "user": dict(self.user)}],
            "contexts": [{"name": self.name, "context": context}],
        }


def kubeconfig_files(text: str) -> list[Path]:
    """Return the files that a KUBECONFIG names; without any, kubectl's own default."""
    named = [_expanded(part) for part in text.split(os.pathsep) if part]
    return named or [Path.home() / ".kube" / "config"]


def read_context(files: Sequence[Path], name: str) -> ContextEntry:
    """Return the context called ``name``.

    Raises:
        ContextError: no file can be read, or they have no such context, or it is not whole.
    """
    documents = list(_documents(files))
    context, _ = _entry(documents, "contexts", name) or (None, None)
    if context is None:
        known = sorted({str(one.get("name")) for document, _ in documents for one in _list(document, "contexts")})
        raise ContextError(
            f"{os.pathsep.join(map(str, files))} has no context {name!r}",
            f"use one of: {', '.join(known)}" if known else "name a kubeconfig with contexts by KUBECONFIG",
        )
    cluster = _entry(documents, "clusters", str(context.get("cluster", "")))
    if cluster is None or not cluster[0].get("server"):
        raise ContextError(
            f"context {name!r} names the cluster {context.get('cluster')!r}, which has no entry with a server",
            "fix the kubeconfig",
        )
    _check_server(name, str(cluster[0]["server"]))
    named = str(context.get("user") or "")
    user = _entry(documents, "users", named)
    if user is None and named:
        raise ContextError(f"context {name!r} names the user {named!r}, who has no entry", "fix the kubeconfig")
    entry, folder = user or ({}, Path())
    return ContextEntry(
        name, _absolute(*cluster, _CLUSTER_FILES), _with_program(_absolute(entry, folder, _USER_FILES), folder)
    )


def _check_server(context: str, server: str) -> None:
    try:
        parts = urlsplit(server)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not server.isascii() or any(character <= " " for character in server):
        raise ContextError(
            f"context {context!r} points to the server {server!r}, which is not a URL such as https://127.0.0.1:6443",
            "fix the kubeconfig",
        )


def _documents(files: Sequence[Path]) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Yield each file that exists with its folder; one that does not exist is left out, as kubectl does."""
    # Unlike Path.is_file it never raises, whatever the name is.
    found = [file for file in files if os.path.isfile(file)]
    if not found:
        raise ContextError(
            f"kubeconfig {os.pathsep.join(map(str, files))} does not exist", "name one by KUBECONFIG, or make one"
        )
    for file in found:
        document = _read(file)
        if not isinstance(document, dict | None):
            raise ContextError(f"kubeconfig {file} holds no object", "fix the file")
        yield document or {}, file.absolute().parent


def _read(file: Path) -> Any:
    import yaml  # noqa: PLC0415 (only who reads a kubeconfig needs it)

    try:
        return _Plain(file).value(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError, yaml.YAMLError) as error:
        # YAML's scalars, dates for one, are made by functions that raise whatever they like.
        told = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise ContextError(f"kubeconfig {file} cannot be read: {told}", "fix the file") from error


class _Plain:
    """Makes of what YAML knows, dates and sets, what JSON knows; refuses what neither file nor header can hold."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._count = 0

    def value(self, found: Any) -> Any:
        self._count += 1
        if self._count > _VALUES_MAX:
            raise ContextError(f"kubeconfig {self._file} holds more than {_VALUES_MAX} values", "fix the file")
        if isinstance(found, Mapping):
            return {str(self.value(key)): self.value(inner) for key, inner in found.items()}
        if isinstance(found, list | tuple | set):
            return [self.value(inner) for inner in found]
        if isinstance(found, date):
            return found.isoformat()
        if isinstance(found, str) and ("\0" in found or any("\ud800" <= one <= "\udfff" for one in found)):
            raise ContextError(f"kubeconfig {self._file} holds a character that no text has", "fix the file")
        if isinstance(found, bytes):
            raise ContextError(f"kubeconfig {self._file} holds bytes where text belongs", "write them as text")
        return found


def _entry(
    documents: Sequence[tuple[Mapping[str, Any], Path]], section: str, name: str
) -> tuple[Mapping[str, Any], Path] | None:
    key = section.removesuffix("s")
    for document, folder in documents:
        for one in _list(document, section):
            if str(one.get("name")) == name and isinstance(one.get(key), dict):
                return one[key], folder
    return None


def _list(document: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    entries = document.get(section)
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _absolute(entry: Mapping[str, Any], folder: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Return an entry whose paths are absolute: in a file they are relative to that file's own folder."""
    paths = {key: str(folder / _expanded(str(entry[key]))) for key in keys if entry.get(key)}
    return dict(entry) | paths


def _with_program(user: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a user whose credential program is found from anywhere; one without a slash is looked up in PATH."""
    program = user.get("exec")
    if not isinstance(program, dict) or os.sep not in str(program.get("command", "")):
        return user
    return user | {"exec": program | {"command": str(folder / str(program["command"]))}}


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~ of a user whom nobody knows
        return Path(text)
