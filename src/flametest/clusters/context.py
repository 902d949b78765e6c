"""Any Kubernetes, by a context of the user's kubeconfig that is named explicitly, and allowed explicitly.

The context is copied into a kubeconfig of Flametest's own, to which every client is pinned; the user's file, and its
current context, are only read. The cluster belongs to others as well: of it `ContextCluster.down` ends the namespace
that Flametest has made, and nothing else.
"""

import json
import os
import re
import zlib
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from flametest.clusters.allowed import check_allowed
from flametest.clusters.entry import find_entry
from flametest.clusters.ownership import is_ours
from flametest.clusters.protocol import Access, ClusterError, ClusterOptions
from flametest.kube import KubeClient, connect
from flametest.kube.kubeconfigs import kubeconfig_files, read_context
from flametest.kube.namespaces import namespace_phase

__all__ = ["ContextCluster"]

_GONE_SECONDS_MAX = 120.0  # pods take their grace periods, and volumes have to be let go


class ContextCluster:
    """A context of the user's kubeconfig; made without a look at it, which comes with the first use."""

    note = ""
    is_own = False
    forgets = False
    pulls_images = True

    def __init__(self, context: str, options: ClusterOptions) -> None:
        self._context = context
        self._options = options

    @property
    def name(self) -> str:
        """Return ``context:NAME``."""
        return f"context:{self._context}"

    def up(self) -> Access:
        """Return how the cluster is reached, once its API has answered."""
        access = self._access()
        with self._connect(access) as client:
            client.version()
        return access

    def own_images(self, _references: Collection[str]) -> tuple[str, ...]:
        """Return none: the cluster's nodes have them, or pull them."""
        return ()

    def make_images(self, _names: Collection[str], _said: Callable[[str], None]) -> str:
        """Make none."""
        return ""

    def find(self) -> Access | None:
        """Return how the system is reached, or None when its namespace is not there."""
        access = self._access()
        with self._connect(access) as client:
            if namespace_phase(client.api, access.namespace) != "Active":
                return None
            url = access.url or find_entry(client, access.namespace, self._options.entry_port)
        return replace(access, url=url)

    def down(self) -> bool:
        """Delete the namespace with everything in it, if Flametest has made it, and return whether there was one.

        The copy of the kubeconfig stays: undo records name it.

        Raises:
            ClusterError: somebody else has made the namespace; it is left alone.
        """
        access = self._access()
        with self._connect(access) as client:
            there = namespace_phase(client.api, access.namespace) != ""
            if there and not is_ours(client, access.namespace):
                raise ClusterError(
                    f"namespace {access.namespace!r} of context {self._context!r} was not made by Flametest, "
                    "and is left alone",
                    f"delete it by hand if it may go: kubectl --context {self._context} delete namespace "
                    f"{access.namespace}",
                )
            if there:
                client.delete_namespace(access.namespace, _GONE_SECONDS_MAX)
        return there

    def has_ended(self, kubeconfig: str) -> bool:
        """Return False: that this cluster does not answer does not mean that it is gone."""
        return False

    def listens(self, port: int) -> bool | None:
        """Return None: the listeners are not this machine's to look at."""
        return None

    def memory_bytes(self) -> int | None:
        """Return None: the cluster's processes are its own business."""
        return None

    def _access(self) -> Access:
        """Return how the context is reached, after making sure that it may be; sends nothing.

        Raises:
            ContextError: there is no such context.
            ClusterError: it is not allowed.
        """
        if not self._context:
            raise ClusterError(
                "--cluster context: names no context", "write context:NAME; see kubectl config get-contexts"
            )
        entry = read_context(kubeconfig_files(self._options.kubeconfig), self._context)
        check_allowed(entry, self._options.allow_list, self._options.known_context)
        copy = self.folder / "kubeconfig"
        _write_private(copy, json.dumps(entry.document(self._options.namespace), indent=2, ensure_ascii=False) + "\n")
        known = bool(self._options.known_context)
        return Access(copy, self._context, self._options.url, known=known, **self._options.asked)

    @property
    def folder(self) -> Path:
        """Return the folder of this context's own: its name, as far as a file's may be like it, told apart by a sum."""
        state = self._options.state
        if state is None:
            raise ClusterError("no folder for state is named", "set FLAMETEST_HOME")
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", self._context).strip("-.")[:60]
        return state / "contexts" / f"{readable or 'context'}-{zlib.crc32(self._context.encode()):08x}"

    @staticmethod
    def _connect(access: Access) -> KubeClient:
        return connect(access.kubeconfig, access.context)


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, at once: readers see the old content or the new, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        raise ClusterError(
            f"the copy of the kubeconfig {path} cannot be written: {error.strerror}",
            "make room there, or name another folder by FLAMETEST_HOME",
        ) from error
