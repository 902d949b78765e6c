"""The load on this system, for stock Locust; written by ``flametest init``, and yours to change:

    locust -f loadtests/locustfile.py --headless --host "$FLAMETEST_URL" -u 20 -r 5 -t 60s

Each user offers ``--rate-per-user`` requests a second by a schedule of its own, also while earlier ones still wait
(open loop), so that a slow system is asked as often as a quick one. Latency counts from the start that was intended.
FLAMETEST_LOAD_PATH names one path that all users ask for instead.
"""

import itertools
import math
import os
import random
import time
from typing import Any, ClassVar

import gevent.ssl
from gevent.pool import Pool
from locust import FastHttpUser, events

__all__ = ["Visitor"]

# What is asked for, and how often in comparison with the others.
PATHS = {"/": 1}

CONNECT_SECONDS_MAX = 1.0
ANSWER_SECONDS_MAX = 2.0
RATE_MIN, RATE_MAX = 0.001, 1000.0
CATCH_UP_SECONDS_MAX = 1.0  # who was held up for longer goes on with the present instead of asking all at once

_numbers = itertools.count()


def _add_options(parser: Any) -> None:
    parser.add_argument("--rate-per-user", type=float, default=5.0, env_var="FLAMETEST_RATE_PER_USER")


events.init_command_line_parser.add_listener(_add_options)


def visit(user: "Visitor") -> None:
    """Ask for the next path."""
    user.ask(_path())


def _tls_context(cafile: str | None = None) -> Any:
    """Return how an https entry is trusted: by the authorities of FLAMETEST_CA_FILE, if it is set."""
    return gevent.ssl.create_default_context(cafile=os.environ.get("FLAMETEST_CA_FILE") or cafile)


class Visitor(FastHttpUser):  # type: ignore[misc]  # Locust has no types
    """A user who asks for paths, one after another, at a constant rate."""

    connection_timeout = CONNECT_SECONDS_MAX
    network_timeout = ANSWER_SECONDS_MAX
    insecure = os.environ.get("FLAMETEST_INSECURE") == "true"
    ssl_context_factory = staticmethod(_tls_context)
    tasks: ClassVar[Any] = [visit]

    def __init__(self, environment: Any) -> None:
        rate = min(max(environment.parsed_options.rate_per_user, RATE_MIN), RATE_MAX)
        # As many as can wait at once within their time limits.
        self.concurrency = math.ceil(rate * (CONNECT_SECONDS_MAX + ANSWER_SECONDS_MAX)) + 1
        super().__init__(environment)
        self._waiting = Pool(self.concurrency)
        self._period = 1 / rate
        # Multiples of the golden ratio spread any number of users evenly over a period.
        self._next = time.monotonic() + next(_numbers) * 0.6180339887 % 1 * self._period

    def on_start(self) -> None:
        """Wait for the first start: Locust begins with a task."""
        self.wait()

    def on_stop(self) -> None:
        """Let what was asked be answered, within its time limits."""
        self._waiting.join(CONNECT_SECONDS_MAX + ANSWER_SECONDS_MAX)

    def wait_time(self) -> float:
        """Return how many seconds are left until the next start."""
        late = time.monotonic() - self._next
        if late > CATCH_UP_SECONDS_MAX:
            self._next += late // self._period * self._period
        return float(max(0.0, self._next - time.monotonic()))

    def ask(self, path: str) -> None:
        """Ask without waiting for the answer."""
        self._waiting.spawn(self._ask, path, round(self._next * 1e9))
        self._next += self._period

    def _ask(self, path: str, intended_ns: int) -> None:
        self.client.get(path, context={"intended_ns": intended_ns, "sent_ns": time.monotonic_ns()})


def _path() -> str:
    """Return the next path: the one of the environment unless that is the first of them all, which stands for all."""
    wanted = os.environ.get("FLAMETEST_LOAD_PATH", "/")
    if wanted not in ("/", next(iter(PATHS))):
        return wanted
    return random.choices(list(PATHS), list(PATHS.values()))[0]  # noqa: S311 (no secret)
