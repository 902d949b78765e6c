"""The load on the system under test, for stock Locust:

    locust -f loadtests/locustfile.py --headless --host "$FLAMETEST_URL" -u 20 -r 5 -t 60s

The rate that is offered is constant: users times `--rate-per-user` requests a second. Each user has an absolute
schedule, and its requests start when that says so, also while earlier ones are still waiting (open loop): a slow
system is asked as often as a quick one, and its slowness does not hide. The intended start goes with each request as
``context["intended_ns"]``, beside ``context["sent_ns"]``, both of `time.monotonic_ns`: latency that counts from there
leaves no waiting out. FLAMETEST_LOAD_PATH names a path that all users ask for in place of the mixture.
"""

import math
import os
import time
from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar

import gevent.ssl
from gevent.pool import Pool
from locust import FastHttpUser, events

__all__ = ["Visitor"]

CONNECT_SECONDS_MAX = 1.0
ANSWER_SECONDS_MAX = 2.0
# A user that was held up for longer than this goes on with the present instead of asking everything at once.
CATCH_UP_SECONDS_MAX = 1.0

_EPOCH_NS = time.monotonic_ns()
# Users start at fractions of this within their interval, which spreads any number of them evenly.
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
_numbers = count()


def _add_options(parser: Any) -> None:
    parser.add_argument(
        "--rate-per-user",
        type=float,
        default=5.0,
        env_var="FLAMETEST_RATE_PER_USER",
        help="Requests a second that each user offers.",
    )


events.init_command_line_parser.add_listener(_add_options)


def _asks(method: str, path: str) -> Callable[["Visitor"], None]:
    """Return the task of offering one request."""

    def task(user: "Visitor") -> None:
        user.offer(method, path)

    task.__name__ = f"{method} {path}"
    return task


def _tasks(path: str) -> dict[Callable[["Visitor"], None], int]:
    """Return what users do, with weights: ask for one path only, so that a fault is felt in full, or a mixture."""
    if path != "/":
        return {_asks("GET", path): 1}
    return {
        _asks("GET", "/"): 5,
        _asks("GET", "/hits"): 3,
        _asks("GET", "/visits"): 1,
        _asks("POST", "/visits"): 1,
        _asks("GET", "/shop/api/events"): 1,
        _asks("GET", "/shop"): 1,
    }


def _tls_context(cafile: str | None = None) -> Any:
    """Return how an https entry is trusted: by the authorities of FLAMETEST_CA_FILE, if it is set."""
    return gevent.ssl.create_default_context(cafile=os.environ.get("FLAMETEST_CA_FILE") or cafile)


class Visitor(FastHttpUser):  # type: ignore[misc]  # Locust has no types
    """A user who looks in, is counted, now and then leaves a visit, and looks through the ticket shop's events."""

    connection_timeout = CONNECT_SECONDS_MAX
    network_timeout = ANSWER_SECONDS_MAX
    insecure = os.environ.get("FLAMETEST_INSECURE") == "true"
    ssl_context_factory = staticmethod(_tls_context)
    tasks: ClassVar[Any] = _tasks(os.environ.get("FLAMETEST_LOAD_PATH", "/"))

    def __init__(self, environment: Any) -> None:
        rate = environment.parsed_options.rate_per_user
        if not 0 < rate <= 1000:
            raise ValueError(f"--rate-per-user: expected more than 0 and at most 1000, found {rate}")
        # As many as can wait at once while each keeps its time limits: the bound is a guard, and never felt.
        self.concurrency = math.ceil(rate * (CONNECT_SECONDS_MAX + ANSWER_SECONDS_MAX)) + 1
        super().__init__(environment)
        self._pending = Pool(self.concurrency)
        self._interval_ns = round(1e9 / rate)
        first_ns = _EPOCH_NS + round(next(_numbers) * _GOLDEN_RATIO % 1 * self._interval_ns)
        periods = (time.monotonic_ns() - first_ns) // self._interval_ns + 1
        self._intended_ns = first_ns + max(0, periods) * self._interval_ns

    def on_start(self) -> None:
        """Wait for the first start of the schedule: Locust begins with a task, not with a wait."""
        self.wait()

    def on_stop(self) -> None:
        """Let what was asked be answered, within its time limits."""
        self._pending.join(CONNECT_SECONDS_MAX + ANSWER_SECONDS_MAX)

    def wait_time(self) -> float:
        """Return how long it is until the next start, in seconds; nothing when it is due."""
        late_ns = time.monotonic_ns() - self._intended_ns
        if late_ns > CATCH_UP_SECONDS_MAX * 1e9:
            self._intended_ns += late_ns // self._interval_ns * self._interval_ns
        seconds: float = max(0, self._intended_ns - time.monotonic_ns()) / 1e9
        return seconds

    def offer(self, method: str, path: str) -> None:
        """Send the request that is due, without waiting for its answer."""
        self._pending.spawn(self._ask, method, path, self._intended_ns)
        self._intended_ns += self._interval_ns

    def _ask(self, method: str, path: str, intended_ns: int) -> None:
        context = {"intended_ns": intended_ns, "sent_ns": time.monotonic_ns()}
        self.client.request(method, path, context=context)
