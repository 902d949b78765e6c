"""One context of a user's kubeconfig files, by itself: what a copy of it for Flametest alone consists of.

Files are merged as kubectl merges those of KUBECONFIG: the first file that has an entry of a name wins. See
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/. Nothing here asks a cluster.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.clusters.protocol import ClusterError

__all__ = ["ContextEntry", "kubeconfig_files", "read_context"]

_CLUSTER_FILES = ("certificate-authority",)
_USER_FILES = ("client-certificate", "client-key", "tokenFile")


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
    named = [Path(part).expanduser() for part in text.split(os.pathsep) if part]
    return named or [Path.home() / ".kube" / "config"]


def read_context(files: Sequence[Path], name: str) -> ContextEntry:
    """Return the context called ``name``.

    Raises:
        ClusterError: no file can be read, or they have no such context, or it is not whole.
    """
    documents = list(_documents(files))
    context, _ = _entry(documents, "contexts", name) or (None, None)
    if context is None:
        known = sorted({str(one.get("name")) for document, _ in documents for one in _list(document, "contexts")})
        raise ClusterError(
            f"{os.pathsep.join(map(str, files))} has no context {name!r}",
            f"use one of: {', '.join(known)}" if known else "name a kubeconfig with contexts by KUBECONFIG",
        )
    cluster = _entry(documents, "clusters", str(context.get("cluster", "")))
    if cluster is None or not cluster[0].get("server"):
        raise ClusterError(
            f"context {name!r} names the cluster {context.get('cluster')!r}, which has no entry with a server",
            "mend the kubeconfig",
        )
    user = _entry(documents, "users", str(context.get("user", ""))) or ({}, Path())
    return ContextEntry(
        name, _absolute(*cluster, _CLUSTER_FILES), _with_program(_absolute(*user, _USER_FILES), user[1])
    )


def _documents(files: Sequence[Path]) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Yield each file that exists with its folder; one that does not exist is left out, as kubectl does."""
    import yaml  # noqa: PLC0415 (only who reads a kubeconfig needs it)

    found = [file for file in files if file.is_file()]
    if not found:
        raise ClusterError(
            f"kubeconfig {os.pathsep.join(map(str, files))} does not exist", "name one by KUBECONFIG, or make one"
        )
    for file in found:
        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ClusterError(
                f"kubeconfig {file} cannot be read: {' '.join(str(error).split())}", "mend the file"
            ) from error
        if not isinstance(document, dict | None):
            raise ClusterError(f"kubeconfig {file} holds no object", "mend the file")
        yield document or {}, file.absolute().parent


def _entry(
    documents: Sequence[tuple[Mapping[str, Any], Path]], section: str, name: str
) -> tuple[Mapping[str, Any], Path] | None:
    key = section.removesuffix("s")
    for document, folder in documents:
        for one in _list(document, section):
            if one.get("name") == name and isinstance(one.get(key), dict):
                return one[key], folder
    return None


def _list(document: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    entries = document.get(section)
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _absolute(entry: Mapping[str, Any], folder: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Return an entry whose paths are absolute: in a file they are relative to that file's own folder."""
    paths = {key: str(folder / Path(str(entry[key])).expanduser()) for key in keys if entry.get(key)}
    return dict(entry) | paths


def _with_program(user: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a user whose credential program is found from anywhere; one without a slash is looked up in PATH."""
    program = user.get("exec")
    if not isinstance(program, dict) or os.sep not in str(program.get("command", "")):
        return user
    return user | {"exec": program | {"command": str(folder / str(program["command"]))}}
