"""From outside: wait for the Job's run to end, fetch its report, and remove what was applied, in an order that heals.

The pod goes first, and has its grace period to take back what it has injected; only then its rights go, and with the
namespace its undo journal.
"""

import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from flametest.faults.own_namespace import remove as remove_namespace
from flametest.faults.own_namespace import state_of
from flametest.incluster.manifest import JOB, RUNNER_NAMESPACE
from flametest.incluster.runner import KEY_VARIABLE, REPORT_PORT
from flametest.kube import KubeClient, KubeError
from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.pods import default_container
from flametest.kube.resources import PODS, Discovery, Object, Resource
from flametest.manifests import Manifest
from flametest.model.errors import FlametestError

__all__ = ["JobError", "JobLostError", "await_end", "begin_again", "fetch", "interrupt", "last_words", "remove"]

STARTING_SECONDS_MAX = 180.0
SILENT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.5
FETCH_SECONDS_MAX = 300.0
ENDING_SECONDS_MAX = 90.0  # the pod's grace period, and some more
JOBS = Resource("batch/v1", "Job", "jobs")
_PIECE_BYTES = 256 * 1024
_WORDS_LINES = 4
_ORDER = ("Job", "RoleBinding", "Role", "ClusterRoleBinding", "ClusterRole")


class JobError(FlametestError):
    """A Job that does not start, or whose report cannot be fetched."""


class JobLostError(JobError):
    """A Job whose run had begun and ended without a word: what it has injected may still be there."""


def await_end(client: KubeClient, seconds_max: float, saw: Callable[[str], None]) -> int:
    """Wait until the run in the Job's pod has ended, and return its exit code; its report waits to be fetched.

    Args:
        client: the cluster.
        seconds_max: how long the run may take.
        saw: is told the last line of its log.

    Raises:
        JobError: the pod does not start; the message has the end of its log.
        JobLostError: it ended without a word, or is silent.
        KubeError: the API is unreachable or refused.
    """
    begin = heard = time.monotonic()
    started = False
    while True:
        pod = _pod_of_job(client)
        now = time.monotonic()
        if pod is not None and (state := _state(client, pod)) is not None:
            started, heard = True, now
            if state["code"] is not None:
                return int(state["code"])
            saw(_last_line(client, pod))
        is_over = now - heard > (SILENT_SECONDS_MAX if started else STARTING_SECONDS_MAX)
        _check(client, pod, JobLostError if started else JobError, is_over=is_over)
        if now - begin > seconds_max:
            raise JobLostError(f"the run inside has not ended after {seconds_max:g} s", "check the log of its pod")
        time.sleep(POLL_SECONDS)


def begin_again(client: KubeClient) -> None:
    """Remove an earlier Job with its pod, and keep its undo journal: the next run heals what it has left behind.

    Raises:
        JobError: its pod does not end.
        KubeError: the API is unreachable or refused.
    """
    with suppress(NotFoundError):
        client.api.send("DELETE", JOBS.path(RUNNER_NAMESPACE, JOB), {"propagationPolicy": "Background"})
    _await_gone(client)


def interrupt(client: KubeClient) -> int:
    """Interrupt the run inside, wait until it has healed what it has injected, and return its exit code.

    Raises:
        JobError: there is none that runs, or it does not end.
        KubeError: the API is unreachable or refused.
    """
    pod = _pod_of_job(client)
    if pod is None:
        raise JobError("no pod of the Job is there")
    client.api.send("POST", _path(pod, "stop"), {})
    return await_end(client, ENDING_SECONDS_MAX, lambda _: None)


def last_words(client: KubeClient) -> list[str]:
    """Return the end of the log of the Job's pod, line by line.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    pod = _pod_of_job(client)
    return [] if pod is None else _log(client, pod, _WORDS_LINES)


def fetch(client: KubeClient, out: Path) -> Path:
    """Fetch the report of a run that has ended into the new folder ``out``, let the Job's pod end, and return it.

    Raises:
        JobError: there is none.
        KubeError: the API is unreachable or refused.
    """
    pod = _pod_of_job(client)
    if pod is None:
        raise JobError(f"namespace {RUNNER_NAMESPACE} has no pod of a Job", "start one by `flametest job run`")
    with tempfile.TemporaryFile() as archive:
        try:
            answer = client.api.stream(_path(pod, "report.tar.gz"), {}, FETCH_SECONDS_MAX)
        except ApiRejectedError as error:
            raise JobError(
                f"the report cannot be fetched: {error.told}",
                "the pod holds it for some minutes after the run; later only the log has its summary",
            ) from error
        with answer:
            for piece in answer.stream(_PIECE_BYTES):
                archive.write(piece)
        archive.seek(0)
        out.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=archive, mode="r:gz") as tar:
            tar.extractall(out, filter="data")
    with suppress(KubeError):  # it ends by itself when its time is over
        client.api.send("POST", _path(pod, "done"), {})
    return out


def remove(client: KubeClient, manifests: Sequence[Manifest]) -> str:
    """Remove everything that was applied, and return what was done; what is not there is no error.

    Raises:
        JobError: the pod does not end, so that its rights and its undo journal have to stay.
        HealError: the namespace is not Flametest's.
        KubeError: the API is unreachable or refused.
    """
    discovery = Discovery(client.api)
    ours = [manifest for manifest in manifests if manifest.kind in _ORDER]
    for manifest in sorted(ours, key=lambda one: _ORDER.index(one.kind)):
        resource = discovery.resource(manifest.object["apiVersion"], manifest.kind)
        if resource is None:
            continue
        path = resource.path(manifest.object["metadata"].get("namespace", ""), manifest.name)
        with suppress(NotFoundError):
            client.api.send("DELETE", path, {"propagationPolicy": "Background"})
        if manifest.kind == "Job":
            _await_gone(client)
    return remove_namespace(client, state_of(RUNNER_NAMESPACE))


def _pod_of_job(client: KubeClient) -> Object | None:
    """Return the Job's newest pod, or None when there is none yet.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    found = client.api.listed(PODS.path(RUNNER_NAMESPACE), {"labelSelector": f"job-name={JOB}"}).items
    return max(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _await_gone(client: KubeClient) -> None:
    end = time.monotonic() + ENDING_SECONDS_MAX
    while (pod := _pod_of_job(client)) is not None:
        if time.monotonic() > end:
            raise JobError(
                f"pod {pod['metadata']['name']} of namespace {RUNNER_NAMESPACE} has not ended within "
                f"{ENDING_SECONDS_MAX:g} s, so its rights and its undo journal are left",
                "check its node; then run `flametest job remove`",
            )
        time.sleep(POLL_SECONDS)


def _path(pod: Object, what: str) -> str:
    variables = pod["spec"]["containers"][0].get("env") or []
    key = next((str(one["value"]) for one in variables if one["name"] == KEY_VARIABLE), "")
    return f"{PODS.path(RUNNER_NAMESPACE)}/{pod['metadata']['name']}:{REPORT_PORT}/proxy/{key}/{what}"


def _state(client: KubeClient, pod: Object) -> Object | None:
    """Return what the pod says of its run; None while it does not answer."""
    if pod.get("status", {}).get("phase") != "Running":
        return None
    with suppress(ApiRejectedError):
        return client.api.get(_path(pod, "state"))
    return None


def _check(client: KubeClient, pod: Object | None, kind: type[JobError], *, is_over: bool) -> None:
    """Complain of a pod that will not answer any more.

    Raises:
        JobError: of this kind; it has ended, cannot start, or is silent for too long.
    """
    status = (pod or {}).get("status", {})
    waiting = [
        f"{reason['reason']}: {reason.get('message', '')}"
        for one in status.get("containerStatuses") or []
        if (reason := one.get("state", {}).get("waiting") or {}).get("reason") in ("ErrImagePull", "ImagePullBackOff")
    ]
    ended = status.get("phase") in ("Failed", "Succeeded")
    if not (waiting or ended or is_over):
        return
    phase = f"its pod is {status.get('phase', 'missing')} {status.get('message', '')}".rstrip()
    told = waiting[0] if waiting else phase
    words = f"; the end of its log: {_last_line(client, pod)}" if pod is not None and not waiting else ""
    raise kind(
        f"the Job does not answer: {told}{words}",
        f"see kubectl --namespace {RUNNER_NAMESPACE} describe job {JOB}, and the log of its pod",
    )


def _last_line(client: KubeClient, pod: Object) -> str:
    return (_log(client, pod, 1) or [""])[-1]


def _log(client: KubeClient, pod: Object, lines: int) -> list[str]:
    with suppress(KubeError):
        path = f"{PODS.path(RUNNER_NAMESPACE, pod['metadata']['name'])}/log"
        query = {"container": default_container(pod), "tailLines": str(lines)}
        return client.api.text(path, query).strip().splitlines()
    return []
