"""The distributed load of a scenario: its namespace, journalled before it is made, and what became of each worker.

It stands beside the one process of `flametest.load.Locust`, and notes in the history what a reader needs to believe
samples that were taken on other machines: whose they are, how many, and how each worker's clock was reckoned with.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from flametest.clusters import Access
from flametest.faults.guardian import Guardian
from flametest.faults.healing import heal_all, place_of
from flametest.faults.own_namespace import MARK, OWN_NAMESPACE, state_of
from flametest.faults.owner import own_owner
from flametest.faults.signals import shielded
from flametest.faults.undo import UndoJournal, UndoRecord, identifier, state_home
from flametest.kube import KubeClient, KubeError, connect
from flametest.kube.resources import NAMESPACES
from flametest.load import LoadError, LoadOptions
from flametest.load.collector import WorkerSummary
from flametest.load.distributed import DistributedLocust, inside_url, refuse_unverified
from flametest.load.worker_pods import PodLoad
from flametest.model.events import LoadEnded, LoadWorkerEnded, Noted, Target
from flametest.run.folder import append_event, stamp
from flametest.run.loadnotes import Told, load_started, note_generators

__all__ = ["Load", "PodLoadOptions", "loaded_from_pods", "wait_until_offered"]

OFFERED_SECONDS_MAX = 30.0


class Load(Protocol):
    """A load generator that was started, on this machine or in pods."""

    def check(self) -> None:
        """Do nothing while it offers load; raise LoadError when it died."""

    def wait_until_offered(self, timeout_seconds: float) -> None:
        """Return once it offers its rate; raise LoadError when it does not in time."""

    def ended_by(self) -> str:
        """Return what of the load test has ended it already, in order: that is judged, and no error."""


def wait_until_offered(load: Load, name: str, history: Path) -> None:
    """Wait until a load is at its rate; one that does not reach it, or has ended itself, leaves a doubt.

    Raises:
        LoadError: it died.
    """
    try:
        load.wait_until_offered(OFFERED_SECONDS_MAX)
    except LoadError as error:
        if not load.ended_by():
            load.check()
        append_event(history, Noted(stamp(), name, error.message))


@dataclass(frozen=True, slots=True)
class PodLoadOptions:
    """What is offered from pods.

    Attributes:
        load: users, rate and load test; its URL is the entry as this machine has it.
        workers: how many pods send it.
        entry: the entry as pods have it; empty to have it found.
    """

    load: LoadOptions
    workers: int
    entry: str = ""


@contextmanager
def loaded_from_pods(
    name: str, access: Access, options: PodLoadOptions, folder: Path, saw: Callable[[str], None]
) -> Iterator[None]:
    """Offer the load of scenario ``name`` from pods while the block runs; samples and history are in ``folder`` then.

    What ends the load early, a worker's death for one, is told in the history and makes the scenario inconclusive.

    Raises:
        LoadError: the load could not be started.
        KubeError: the API is unreachable or refused.
    """
    history, load = folder / "history.jsonl", options.load
    with (
        connect(access.kubeconfig, access.context) as client,
        _namespace(client, access, load.seconds_max) as namespace,
    ):
        entry = options.entry or inside_url(client, access.namespace, access.url)
        refuse_unverified(entry, access.trust)
        inside = PodLoad(replace(load, url=entry), options.workers, namespace, secrets.token_urlsafe(16))
        client.api.send("POST", NAMESPACES.path(), inside.namespace_object(MARK))
        locust = DistributedLocust(inside, client, folder)
        reason = "stopped"
        try:
            saw(f"starting {options.workers} load workers that enter by {entry}")
            locust.start()
            wait_until_offered(locust, name, history)
            append_event(history, load_started(name, load))
            try:
                yield
                reason = _ended_early(locust)
            except BaseException as error:
                reason = str(error) or type(error).__name__
                raise
            finally:
                ended = LoadEnded(stamp(), name, reason)
                with shielded():
                    _finish(locust, ended, history)
        finally:
            locust.close()


@contextmanager
def _namespace(client: KubeClient, access: Access, seconds_max: float) -> Iterator[str]:
    """Journal a new name for a namespace, which the block makes, and remove what it made on every way out."""
    home, owner = state_home(os.environ), own_owner(os.environ)
    journal, guardian = UndoJournal(home), Guardian(home, owner)
    namespace = f"flametest-load-{secrets.token_hex(4)}"
    record = UndoRecord(
        identifier=identifier(time.time_ns(), os.getpid(), OWN_NAMESPACE),
        fault=OWN_NAMESPACE,
        title=f"load workers in namespace {namespace}",
        targets=(Target(NAMESPACES.kind, "", namespace, ""),),
        state=state_of(namespace),
        place=place_of(client, str(access.kubeconfig), access.context),
        owner=owner,
        lease_until_wall_s=time.time() + seconds_max,
    )
    journal.write(record)
    try:
        guardian.start()
        yield namespace
    finally:
        with shielded():
            heal_all(journal, [record])
            guardian.stop()


def _ended_early(locust: DistributedLocust) -> str:
    try:
        locust.check()
    except LoadError as error:
        return error.message
    return "stopped"


def _finish(locust: DistributedLocust, ended: LoadEnded, history: Path) -> None:
    """End the load, and note what came of each worker, what went wrong in it, and how the load ended."""
    name, master = ended.scenario, locust.master()
    missing = ""
    workers: tuple[WorkerSummary, ...] = ()
    try:
        workers = locust.stop()
    except (LoadError, KubeError) as error:
        missing = error.message
    for one in workers:
        offset_ns, uncertainty_ns = one.clock.offset_ns, one.clock.uncertainty_ns
        append_event(history, LoadWorkerEnded(stamp(), name, one.pod, one.requests, offset_ns, uncertainty_ns))
    if ended.reason == "stopped" and missing:
        ended = replace(ended, reason=missing)
    told = [Told(one.generator, one.pod, one.clock.offset_ns) for one in (*workers, *([master] if master else []))]
    note_generators(history, ended, told)
