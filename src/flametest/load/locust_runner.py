"""The handle by which a run starts stock Locust, waits until it offers its rate, and ends it.

Locust is a process of its own, started as anybody would start it, with `locust_export` beside the load test.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from flametest.load.child import Child
from flametest.load.errors import LoadError
from flametest.load.exchange import Entry, route_of
from flametest.load.rate import ACHIEVED_MIN, AchievedRate

__all__ = ["LOAD_SAMPLES_FILE", "LoadOptions", "Locust"]

LOAD_SAMPLES_FILE = "samples-load.csv"
_LOG_FILE = "locust.log"
_SAMPLES_VARIABLE = "FLAMETEST_LOAD_SAMPLES"  # as in locust_export, which can be imported in Locust's process only
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What is offered, and where.

    Attributes:
        users: Locust's users, each with connections of its own.
        rate_per_user: requests a second that each of them offers.
        url: the entry of the system under test.
        locustfile: the load test.
        seconds_max: Locust ends by itself after so long, should nobody end it.
        path: the only path that is asked for; ``/`` stands for the load test's own mixture.
        environment: how the entry is reached; see `flametest.model.routes`.
    """

    users: int
    rate_per_user: float
    url: str
    locustfile: Path
    seconds_max: float = 3600.0
    path: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def offered_per_second(self) -> float:
        """Return the rate of all users together."""
        return self.users * self.rate_per_user


class Locust:
    """Stock Locust that writes `LOAD_SAMPLES_FILE` into ``record_folder``, which exists.

    As a context manager it starts on entry and ends on every way out.
    """

    def __init__(self, options: LoadOptions, record_folder: Path) -> None:
        self._options = options
        self._samples = record_folder / LOAD_SAMPLES_FILE
        self._log = record_folder / _LOG_FILE
        self._child: Child | None = None

    def __enter__(self) -> "Locust":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process; `wait_until_offered` tells when it is at its rate.

        Raises:
            LoadError: the load test is missing, the folder has samples already, or Locust cannot be started.
        """
        if not self._options.locustfile.is_file():
            raise LoadError(f"load test {self._options.locustfile} does not exist", "name an existing Locust file")
        if self._samples.exists():
            raise LoadError(f"{self._samples} exists already", "record into a new folder")
        environment = {
            **self._options.environment,
            _SAMPLES_VARIABLE: str(self._samples),
            "FLAMETEST_RATE_PER_USER": repr(self._options.rate_per_user),
            "FLAMETEST_LOAD_PATH": self._options.path,
        }
        Entry.from_url(self._options.url, route_of(self._options.url, environment))
        self._child = Child("locust", self._command(), self._log, environment)

    def check(self) -> None:
        """Do nothing while it offers load.

        Raises:
            LoadError: it died; the message has its last words.
        """
        if self._child is not None:
            self._child.check()

    def wait_until_offered(self, timeout_seconds: float = 30.0) -> None:
        """Return once it has offered, through one second, at least 95 % of its rate, whatever the answers were.

        Raises:
            LoadError: it died, or did not reach its rate in time.
        """
        achieved = AchievedRate(self._samples)
        wanted = ACHIEVED_MIN * self._options.offered_per_second
        deadline = time.monotonic() + timeout_seconds
        while (found := achieved.per_second()) < wanted:
            self.check()
            if time.monotonic() >= deadline:
                raise LoadError(
                    f"locust did not offer {self._options.offered_per_second:g} requests a second within "
                    f"{timeout_seconds:g} s, but {found:g}",
                    f"lower the rate, or free the processor; see {self._log}",
                )
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End it; every sample is then written. A second call does nothing."""
        if self._child is not None:
            child, self._child = self._child, None
            child.stop(_STOP_SECONDS)

    def _command(self) -> list[str]:
        options = self._options
        extensions = ",".join(str(Path(__file__).with_name(f"locust_{name}.py")) for name in ("export", "route"))
        # One -f with all files: Locust takes users from either. All users come at once, and spread out by themselves.
        command = [sys.executable, "-m", "locust", "-f", f"{options.locustfile},{extensions}", "--headless"]
        command += ["--host", options.url, "-u", str(options.users), "-r", str(options.users)]
        command += ["-t", f"{max(1, round(options.seconds_max))}s", "--only-summary", "--exit-code-on-error", "0"]
        return command
