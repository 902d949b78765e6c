"""Requests to pods and Services by way of the API server's proxy, sent to see what a fault does to them.

They ask for a path that no service has, so that they have no effect: an answer of 404 is a good one.
"""

import itertools
import threading
import time
from collections.abc import Callable, Sequence

from flametest.faults.evidence import Latency, Plan, senders_for, sounded
from flametest.faults.http_faults import HttpFaults
from flametest.faults.http_proof import Sounding, judge, rate_tests
from flametest.faults.protocol import Proof
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import PODS

__all__ = ["pod_proxy", "proof_of", "sound"]

PATH = "flametest-sounding"
SECONDS_MAX = 20.0
SENDERS = 2  # not more, since the system is under load as well
SENDERS_DELAYED = 16  # each of them mostly waits
# What an API server says when it got no answer from the pod.
_UNANSWERED = "error trying to reach service"


def pod_proxy(namespace: str, pod: str, port: int, path: str) -> str:
    """Return the path at which the API server passes a request on to a pod's port."""
    return f"{PODS.path(namespace)}/{pod}:{port}/proxy/{path}"


def proof_of(faults: HttpFaults, before: Latency, sounding: Callable[[int, int], Sounding]) -> Proof:
    """Return whether requests show the faults, once all that were sent decide.

    Args:
        faults: what was asked for.
        before: how long requests took without them.
        sounding: sends so many requests, so many at once.
    """
    waits_ms = faults.latency_ms + faults.latency_jitter_ms
    senders = senders_for(waits_ms, SENDERS, SENDERS_DELAYED)
    plan = Plan.of(rate_tests(faults), faults.seconds_max, waits_ms, senders)
    return sounded(plan, lambda requests: sounding(requests, senders), lambda seen: judge(faults, before, seen))


def sound(
    client: KubeClient, paths: Sequence[str], requests: int, senders: int = SENDERS, seconds_max: float = SECONDS_MAX
) -> Sounding:
    """Send ``requests`` to the paths in turn, ``senders`` at once, and return what became of them.

    After ``seconds_max`` no more are sent.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    turns = iter(range(requests))
    ways = itertools.cycle(paths)
    end = time.monotonic() + seconds_max
    lock = threading.Lock()
    seen: list[tuple[int, float]] = []
    errors: list[Exception] = []

    def send() -> None:
        while time.monotonic() < end and not errors:
            with lock:
                if next(turns, None) is None:
                    return
                path = next(ways)
            begin = time.monotonic()
            try:
                status = _status(client, path)
            except Exception as error:  # told to the caller, whose thread this is not
                errors.append(error)
                return
            with lock:
                seen.append((status, (time.monotonic() - begin) * 1000))

    threads = [threading.Thread(target=send, name=f"sounding {number}", daemon=True) for number in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return Sounding(tuple(status for status, _ in seen), tuple(latency_ms for _, latency_ms in seen))


def _status(client: KubeClient, path: str) -> int:
    """Return the status that a request was answered with; 0 when it was not."""
    try:
        client.api.text(path)
    except ApiRejectedError as error:
        return 0 if error.told.startswith(_UNANSWERED) else error.code
    return 200
