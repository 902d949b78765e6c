"""Reaching the entry: an entry that redirects is reached, and where it leads to is said."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from flametest.clusters import Access, Cluster
from flametest.kube import KubeClient
from flametest.kube.pages import Listing, whole_list
from flametest.run.entering import await_entry
from tests.clusters.recording import answering


class StandInClient:
    """A namespace with one pod, nginx-1, and without warnings."""

    @property
    def api(self) -> "StandInClient":
        """Return what lists objects."""
        return self

    def get(self, path: str) -> dict[str, Any]:
        """Return the pods."""
        return {"items": [{"metadata": {"name": "nginx-1"}}] if path.endswith("/pods") else []}

    def listed(self, path: str) -> Listing:
        """Return the same as a whole list."""
        return whole_list(lambda _: self.get(path), {})

    def warnings(self, namespace: str, kind: str) -> tuple[()]:
        """Return none."""
        return ()


@dataclass
class StandInCluster:
    """A cluster that owns the listener, or does not know."""

    own: bool | None

    def listens(self, port: int) -> bool | None:
        """Return whether the listener is the cluster's own."""
        return self.own


@pytest.mark.parametrize(("served_by", "own"), [("nginx-1", None), ("", True), ("", None)])
def test_an_entry_that_redirects_is_reached_and_where_it_leads_to_is_said(served_by: str, own: bool | None) -> None:
    """Nobody listens where it leads to: followed, it would be an entry that does not answer."""
    with answering(**{"Location": "http://127.0.0.1:9/shop", "X-Served-By": served_by}) as server:
        server.status = 308
        access = Access(Path("kubeconfig"), "context", server.url)
        told = await_entry(cast("KubeClient", StandInClient()), cast("Cluster", StandInCluster(own)), access)
    assert "it answers with status 308, a redirect to http://127.0.0.1:9/shop, on another host" in told
