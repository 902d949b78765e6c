"""How many requests arrive inside: what the pods themselves count, read while an experiment runs.

The prober and the load see what enters. That something inside asks again and again shows only where it arrives, so
pods that carry Prometheus' usual annotations (``prometheus.io/scrape: "true"``, ``prometheus.io/port``,
``prometheus.io/path``) are read by the API server's pod proxy. `TrafficReader` is a thread that the recorder starts and
ends. A pod that cannot be read is left out of that reading: it is often the very one that the fault took.
"""

import re
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import urllib3

from flametest.chaos.observations import app_of
from flametest.kube import KubeClient
from flametest.kube.errors import KubeError
from flametest.kube.resources import PODS, Object
from flametest.model.events import PodRequests, RequestsCounted, Stamp

__all__ = ["TrafficReader", "counted_requests"]

EVERY_SECONDS = 2.0  # some readings within the shortest fault that is held, and few enough not to be a load themselves
_ANSWER_SECONDS_MAX = 1.0
_PODS_MAX = 64
_READERS = 4
_STOP_SECONDS_MAX = 5.0
_SCRAPE, _PORT, _PATH = "prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path"
_PATH_DEFAULT = "/metrics"
# What servers call the counter of their requests, the commonest name first; of several, the first one counts.
_COUNTERS = (
    "http_requests_total",
    "http_server_requests_seconds_count",
    "http_server_request_duration_seconds_count",
    "http_request_duration_seconds_count",
)
_LABEL = r'[a-zA-Z_]\w*\s*=\s*"((?:[^"\\]|\\.)*)"'
_SERIES = re.compile(rf"({'|'.join(_COUNTERS)})\s*(?:\{{((?:\s*{_LABEL}\s*,?)*)\s*\}})?\s+([-+0-9.eE]+)(?:\s.*)?")
_VALUES = re.compile(_LABEL)


def counted_requests(text: str, uncounted: Collection[str] = ()) -> int | None:
    """Return how many requests metrics in Prometheus' text format tell of; None when they count none.

    Args:
        text: the metrics.
        uncounted: paths that do not count; a series is one of theirs when a label has that value.
    """
    sums: dict[str, float] = {}
    for line in text.split("\n"):  # and no other character: labels may hold those that splitlines knows
        found = _SERIES.fullmatch(line.strip())
        if found is None:
            continue
        name, labels, value = found.group(1), found.group(2) or "", float(found.group(4))
        is_counted = not any(label.group(1) in uncounted for label in _VALUES.finditer(labels))
        sums[name] = sums.get(name, 0.0) + (value if is_counted else 0.0)
    return next((round(sums[name]) for name in _COUNTERS if name in sums), None)


class TrafficReader:
    """Reads the counts of all annotated pods of a namespace every `EVERY_SECONDS`, and when asked to.

    Args:
        client: the cluster; has to outlive the reader.
        namespace: where the pods are.
        scenario: the scenario that the events belong to.
        saw: takes each reading, in the reader's thread; must not raise.
    """

    def __init__(
        self, client: KubeClient, namespace: str, scenario: str, saw: Callable[[RequestsCounted], None]
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._scenario = scenario
        self._saw = saw
        self._stopping = threading.Event()
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request counts", daemon=True)

    def start(self) -> None:
        """Begin to read; the first reading is made at once."""
        self._thread.start()

    def read_soon(self) -> None:
        """Have the next reading made as soon as the one under way, if there is one, is done."""
        self._due.set()

    def stop(self) -> None:
        """End; waits for a reading under way, within a bound."""
        self._stopping.set()
        self._due.set()
        self._thread.join(_STOP_SECONDS_MAX)

    def _run(self) -> None:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="request counts") as readers:
            while True:
                self._due.clear()
                if self._stopping.is_set():  # which is set before the other one
                    return
                began = time.monotonic()
                self._read_all(readers)
                self._due.wait(max(0.0, began + EVERY_SECONDS - time.monotonic()))

    def _read_all(self, readers: ThreadPoolExecutor) -> None:
        try:
            pods = self._client.api.listed(PODS.path(self._namespace)).items
        except KubeError:  # the watches tell of an API server that does not answer
            return
        annotated = [pod for pod in pods if _is_annotated(pod)][:_PODS_MAX]
        found = tuple(one for one in readers.map(self._read, annotated) if one is not None)
        if found and not self._stopping.is_set():
            self._saw(RequestsCounted(Stamp(time.monotonic_ns(), time.time()), self._scenario, found))

    def _read(self, pod: Object) -> PodRequests | None:
        metadata = pod["metadata"]
        path = _annotations(pod).get(_PATH, _PATH_DEFAULT)
        proxied = f"{PODS.path(self._namespace, metadata['name'])}:{_port(pod)}/proxy/{path.lstrip('/')}"
        try:
            with self._client.api.stream(proxied, {}, _ANSWER_SECONDS_MAX) as response:
                text = response.read().decode(errors="replace")
        except (KubeError, urllib3.exceptions.HTTPError):
            return None
        requests = counted_requests(text, {path, *_probed_paths(pod)})
        if requests is None:
            return None
        return PodRequests(str(metadata["uid"]), str(metadata["name"]), app_of(metadata.get("labels")), requests)


def _annotations(pod: Object) -> dict[str, str]:
    return pod["metadata"].get("annotations") or {}


def _is_annotated(pod: Object) -> bool:
    """Return whether a pod asks to be read, and can be."""
    runs = pod.get("status", {}).get("phase") == "Running"
    return runs and _annotations(pod).get(_SCRAPE) == "true" and bool(_port(pod))


def _port(pod: Object) -> str:
    """Return the annotated port, or else the first that a container names; empty without one."""
    ports = [port for container in pod["spec"].get("containers", ()) for port in container.get("ports") or ()]
    return _annotations(pod).get(_PORT) or next((str(port["containerPort"]) for port in ports), "")


def _probed_paths(pod: Object) -> set[str]:
    """Return the paths that the cluster itself asks for, at a rate that tells nothing of users."""
    probes = [
        container.get(kind) or {}
        for container in pod["spec"].get("containers", ())
        for kind in ("startupProbe", "readinessProbe", "livenessProbe")
    ]
    return {str(probe["httpGet"]["path"]) for probe in probes if "path" in (probe.get("httpGet") or {})}
