"""Locust as a master and workers in the cluster: started, waited for and ended as the one process of `locust_runner`.

One Locust process keeps one core busy. Where that is not enough, or where the load is to come from inside, its users
are divided among pods. Every request of each lands in the same `LOAD_SAMPLES_FILE`, in this machine's time. The
namespace of the pods is made and removed by whoever owns the run, since it has to go on every way out; see
`worker_pods`.
"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, KubeError
from flametest.kube.resources import PODS, SERVICES, Object
from flametest.load.collector import POLL_SECONDS_MIN, Collector, WorkerSummary, control_path
from flametest.load.errors import LoadError
from flametest.load.locust_runner import LOAD_SAMPLES_FILE, is_offered, wanted_words
from flametest.load.rate import AchievedRate
from flametest.load.samplefile import SampleFile
from flametest.load.worker_pods import CONTAINER, MASTER, PodLoad
from flametest.model.routes import Trust
from flametest.model.samples import Sample

__all__ = ["DistributedLocust", "inside_url", "refuse_unverified"]

ANSWERING_SECONDS_MAX = 180.0  # images may have to be pulled
ACCOUNT_SECONDS_MAX = 10.0  # a new namespace has its service account, without which no pod is made, a little later
LAST_SAMPLES_SECONDS_MAX = 20.0

_POLL_SECONDS = 0.1
_QUESTIONS_PER_SECOND_MAX = 50.0
_ROWS_LATE_SECONDS = 0.8  # beside the time between two questions: a worker's own flush, and a slow answer
_FORBIDDEN = 403


class DistributedLocust:
    """Locust in pods that writes `LOAD_SAMPLES_FILE` into ``record_folder``, which exists.

    Args:
        options: the load, and where its pods go; their namespace exists.
        client: the cluster.
        record_folder: where samples are kept.
    """

    def __init__(self, options: PodLoad, client: KubeClient, record_folder: Path) -> None:
        self._options = options
        self._api = client.api
        self._path = record_folder / LOAD_SAMPLES_FILE
        self._lock = threading.Lock()
        self._file: SampleFile | None = None
        # All workers together are asked no more than fifty times a second: an API server has others to serve as well.
        self._poll_seconds = max(POLL_SECONDS_MIN, options.workers / _QUESTIONS_PER_SECOND_MAX)
        self._collectors = [
            Collector(self._api, self._control(pod, "samples"), pod, self._keep, self._poll_seconds)
            for pod in options.worker_names
        ]

    def start(self) -> None:
        """Make the pods, and return when each worker answers and its samples are being fetched.

        Raises:
            LoadError: the load test cannot be read, the folder has samples already, or a pod does not start.
            KubeError: the API is unreachable or refused.
        """
        try:
            locustfile = self._options.load.locustfile.read_text(encoding="utf-8")
            self._file = SampleFile(self._path)
        except FileExistsError as error:
            raise LoadError(f"{self._path} exists already", "record into a new folder") from error
        except OSError as error:
            raise LoadError(f"{error.filename}: {error.strerror}", "name an existing Locust file") from error
        for resource, obj in self._options.objects(locustfile):
            self._make(resource.path(self._options.namespace), obj)
        waiting = list(self._collectors)
        deadline = time.monotonic() + ANSWERING_SECONDS_MAX
        while waiting := [one for one in waiting if not one.answers()]:
            self._check_pods(waiting, is_over=time.monotonic() >= deadline)
            time.sleep(_POLL_SECONDS)
        for collector in self._collectors:
            collector.start()

    def check(self) -> None:
        """Do nothing while all workers send.

        Raises:
            LoadError: one does not.
        """
        for collector in self._collectors:
            collector.check()

    def wait_until_offered(self, timeout_seconds: float = 30.0) -> None:
        """Return once the workers have offered, through one second, at least 95 % of the rate, whatever the answers.

        Raises:
            LoadError: one died, or they did not reach the rate in time.
        """
        achieved = AchievedRate(self._path, round((_ROWS_LATE_SECONDS + self._poll_seconds) * 1e9))
        load = self._options.load
        deadline = time.monotonic() + timeout_seconds
        while not is_offered(load, found := achieved.per_second(), [one.generator for one in self._collectors]):
            self.check()
            if ended_by := self.ended_by():
                raise LoadError(
                    f"the load ended by itself before it was at its rate: {ended_by}", "have it last longer"
                )
            if time.monotonic() >= deadline:
                raise LoadError(
                    f"{self._options.workers} load workers did not {wanted_words(load)} within {timeout_seconds:g} s, "
                    f"but {found:g}",
                    "ask for more workers with --load-workers, or lower the rate",
                )
            time.sleep(_POLL_SECONDS)

    def ended_by(self) -> str:
        """Return what of the load test has ended it already, in order; empty while nothing has."""
        master = self.master()
        return master.generator.ended_by if master is not None else ""

    def master(self) -> WorkerSummary | None:
        """Return what came of the master, which sends no request itself; None where it does not answer."""
        master = Collector(self._api, self._control(MASTER, "samples"), MASTER, lambda _: None)
        return master.summary() if master.answers() else None

    def stop(self) -> tuple[WorkerSummary, ...]:
        """End the load, and return what came of each worker once every sample of all of them is in the file.

        Raises:
            LoadError: samples of a worker are missing; those of the others are in the file.
            KubeError: the master cannot be told to stop.
        """
        try:
            self._api.send("POST", self._control(MASTER, "stop"), {})
            deadline = time.monotonic() + LAST_SAMPLES_SECONDS_MAX
            found: list[WorkerSummary] = []
            errors: list[LoadError] = []
            for collector in self._collectors:
                try:
                    found.append(collector.finish(max(0.0, deadline - time.monotonic())))
                except LoadError as error:
                    errors.append(error)
            if errors:
                raise errors[0]
            return tuple(found)
        finally:
            self.close()

    def close(self) -> None:
        """End fetching and close the file, whatever the workers do; a second call does nothing."""
        for collector in self._collectors:
            collector.stop()
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _control(self, pod: str, what: str) -> str:
        return control_path(self._options.namespace, pod, self._options.key, what)

    def _keep(self, samples: list[Sample]) -> None:
        with self._lock:
            if self._file is not None:
                for sample in samples:
                    self._file.append(sample)
                self._file.flush()

    def _make(self, path: str, obj: Object) -> None:
        deadline = time.monotonic() + ACCOUNT_SECONDS_MAX
        while True:
            try:
                self._api.send("POST", path, obj)
            except ApiRejectedError as error:
                missing = error.code == _FORBIDDEN and "serviceaccount" in error.told.lower()
                if not missing or time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _check_pods(self, waiting: Sequence[Collector], *, is_over: bool) -> None:
        """Complain of workers that will not start.

        Raises:
            LoadError: one ended, cannot have its image, or did not start in time; the message says why.
        """
        for name in (MASTER, *(one.pod for one in waiting)):
            pod = self._api.get(PODS.path(self._options.namespace, name))
            reason = _why_not(pod)
            if reason or (is_over and name != MASTER):
                told = reason or f"it does not answer within {ANSWERING_SECONDS_MAX:g} s, and is {_phase(pod)}"
                raise LoadError(
                    f"pod {name} of the load does not start: {told}{self._last_words(name)}",
                    f"build image {self._options.image} from loadtests/Dockerfile, and see that the cluster has room",
                )

    def _last_words(self, pod: str) -> str:
        try:
            text = self._api.text(
                f"{PODS.path(self._options.namespace, pod)}/log", {"container": CONTAINER, "tailLines": "5"}
            )
        except KubeError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f": {' | '.join(lines)}" if lines else ""


def inside_url(client: KubeClient, namespace: str, url: str) -> str:
    """Return the address at which pods find the entry that is at ``url`` for this machine: its Service's name.

    Raises:
        LoadError: no Service of the namespace has the port of ``url`` as its node port.
        KubeError: the API is unreachable or refused.
    """
    parts = urlsplit(url)
    labels = (parts.hostname or "").split(".")
    if "svc" in labels:
        return url
    for service in client.api.listed(SERVICES.path(namespace)).items:
        for port in service["spec"].get("ports") or []:
            if port.get("nodePort") == parts.port:
                return f"{parts.scheme}://{service['metadata']['name']}.{namespace}.svc:{port['port']}"
    raise LoadError(
        f"no Service of namespace {namespace!r} has node port {parts.port}, so pods do not know where to enter",
        "name the entry's address inside the cluster with --load-url, such as http://nginx.flametest.svc",
    )


def refuse_unverified(url: str, trust: Trust) -> None:
    """Return if pods may enter by ``url``: there they have neither this machine's authorities nor a file of it.

    Raises:
        LoadError: its certificate would have to be verified.
    """
    if urlsplit(url).scheme == "https" and not trust.insecure:
        raise LoadError(
            f"load workers in pods would enter by {url}, and cannot verify its certificate there",
            "send the load from this machine (without --load-workers), name an http entry inside the cluster with "
            "--load-url, or trust any certificate with --insecure",
        )


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def _why_not(pod: Object) -> str:
    """Return why a pod will never run, or has ended; empty while it may still start, or runs."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses") or []:
        state = container.get("state", {})
        waiting = state.get("waiting") or {}
        if waiting.get("reason") in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerError"):
            return f"{waiting['reason']}: {waiting.get('message', '')}"
        if terminated := state.get("terminated"):
            return f"it ended with code {terminated.get('exitCode')}"
    if _phase(pod) in ("Failed", "Succeeded"):
        return f"it has {_phase(pod).lower()}: {status.get('reason', '')} {status.get('message', '')}".rstrip()
    return ""
