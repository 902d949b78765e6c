"""The handle by which a run starts stock Locust, waits until it offers its rate, and ends it.

Locust is a process of its own, started as anybody would start it, with `locust_export` before the load test.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from flametest.load.child import Child
from flametest.load.errors import LoadError
from flametest.load.exchange import Entry, route_of
from flametest.load.generator import GENERATOR_FILE, GeneratorReport, read_report
from flametest.load.rate import ACHIEVED_MIN, AchievedRate, window_seconds
from flametest.model.requestids import IDS_VARIABLE, LINK_VARIABLE

__all__ = ["LOAD_SAMPLES_FILE", "LoadOptions", "Locust", "is_offered", "wanted_words"]

LOAD_SAMPLES_FILE = "samples-load.csv"
_LOG_FILE = "locust.log"
_SAMPLES_VARIABLE = "FLAMETEST_LOAD_SAMPLES"  # as in locust_export, which can be imported in Locust's process only
_STOP_SECONDS = 10.0
_EXTENSIONS = ("hold", "export", "route", "ids")
_POLL_SECONDS = 0.05
_USER_STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What is offered, and where.

    Attributes:
        users: Locust's users, each with connections of its own.
        rate_per_user: requests a second that each of them offers; None where no rate is asked for, and the one that
            they reach counts.
        url: the entry of the system under test.
        locustfile: the load test.
        seconds_max: Locust ends by itself after so long, should nobody end it.
        path: the only path that is asked for; ``/`` stands for the load test's own mixture.
        environment: how the entry is reached; see `flametest.model.routes`.
        arguments: further arguments of Locust's command line, such as ``--tags``.
    """

    users: int
    rate_per_user: float | None
    url: str
    locustfile: Path
    seconds_max: float = 3600.0
    path: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    @property
    def offered_per_second(self) -> float:
        """Return the rate of all users together; 0 where none is asked for."""
        return self.users * (self.rate_per_user or 0.0)

    @property
    def ending(self) -> tuple[str, ...]:
        """Return how users are to end: those with a pace of their own end what they do, so that it is recorded."""
        return ("--stop-timeout", f"{_USER_STOP_SECONDS:g}") if self.rate_per_user is None else ()

    @property
    def variables(self) -> dict[str, str]:
        """Return what a load test, and what notes its requests, may ask its environment for."""
        rate = {} if self.rate_per_user is None else {"FLAMETEST_RATE_PER_USER": repr(self.rate_per_user)}
        ids = {name: value for name in (IDS_VARIABLE, LINK_VARIABLE) if (value := os.environ.get(name))}
        return {"FLAMETEST_LOAD_PATH": self.path, **rate, **ids}


class Locust:
    """Stock Locust that writes `LOAD_SAMPLES_FILE` into ``record_folder``, which exists.

    As a context manager it starts on entry and ends on every way out.
    """

    def __init__(self, options: LoadOptions, record_folder: Path) -> None:
        self._options = options
        self._samples = record_folder / LOAD_SAMPLES_FILE
        self._account = record_folder / GENERATOR_FILE
        self._log = record_folder / _LOG_FILE
        self._child: Child | None = None

    def __enter__(self) -> "Locust":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def prepare(self) -> None:
        """Start the process, which gets ready behind all others and sends nothing before `start`; raises as that."""
        self._begin(held=True)

    def start(self) -> None:
        """Start the process, or let one that was prepared begin; `wait_until_offered` tells when it is at its rate.

        A second call does nothing.

        Raises:
            LoadError: the load test is missing, the folder has samples already, or Locust cannot be started.
        """
        if self._child is None:
            self._begin(held=False)
        else:
            self._child.release()

    def _begin(self, *, held: bool) -> None:
        if not self._options.locustfile.is_file():
            raise LoadError(f"load test {self._options.locustfile} does not exist", "name an existing Locust file")
        if self._samples.exists():
            raise LoadError(f"{self._samples} exists already", "record into a new folder")
        environment = {
            **self._options.environment,
            _SAMPLES_VARIABLE: str(self._samples),
            **self._options.variables,
        }
        Entry.from_url(self._options.url, route_of(self._options.url, environment))
        self._child = Child("locust", self._command(), self._log, environment, held=held)

    def check(self) -> None:
        """Do nothing while it offers load.

        Raises:
            LoadError: it died; the message has its last words.
        """
        if self._child is not None:
            self._child.check()

    def wait_until_offered(self, timeout_seconds: float = 30.0) -> None:
        """Return once it has offered at least 95 % of its rate, through `window_seconds`, whatever the answers were.

        Where none is asked for: once all users have come and requests were sent through one second.

        Raises:
            LoadError: it died, or did not come to that in time.
        """
        achieved = AchievedRate(self._samples, seconds=window_seconds(self._options.offered_per_second))
        deadline = time.monotonic() + timeout_seconds
        while not is_offered(self._options, found := achieved.per_second(), [self.report()]):
            self.check()
            if ended_by := self.ended_by():
                raise LoadError(
                    f"the load ended by itself before it was at its rate: {ended_by}", "have it last longer"
                )
            if time.monotonic() >= deadline:
                raise LoadError(
                    f"locust did not {wanted_words(self._options)} within {timeout_seconds:g} s, but {found:g}",
                    f"lower the rate, or free the processor; see {self._log}",
                )
            time.sleep(_POLL_SECONDS)

    def report(self) -> GeneratorReport:
        """Return what it says of itself; complete once it was stopped."""
        return read_report(self._account)

    def ended_by(self) -> str:
        """Return what of the load test has ended it already, in order; empty while nothing has."""
        return self.report().ended_by

    def stop(self) -> None:
        """End it; every sample is then written. A second call does nothing."""
        if self._child is not None:
            child, self._child = self._child, None
            child.stop(_STOP_SECONDS)

    def _command(self) -> list[str]:
        options = self._options
        extensions = ",".join(str(Path(__file__).with_name(f"locust_{name}.py")) for name in _EXTENSIONS)
        # One -f with all files: Locust takes users from either. All users come at once, and spread out by themselves.
        command = [sys.executable, "-m", "locust", "-f", f"{extensions},{options.locustfile}", "--headless"]
        command += ["--host", options.url, "-u", str(options.users), "-r", str(options.users)]
        command += ["-t", f"{max(1, round(options.seconds_max))}s", "--only-summary", "--exit-code-on-error", "0"]
        return [*command, *options.ending, *options.arguments]


def is_offered(options: LoadOptions, per_second: float, reports: Sequence[GeneratorReport]) -> bool:
    """Return whether a load is at its rate, of what was sent in a second and what each generator says of itself."""
    if options.rate_per_user is not None:
        return per_second >= ACHIEVED_MIN * options.offered_per_second
    return per_second > 0 and all(one.users for one in reports)


def wanted_words(options: LoadOptions) -> str:
    """Return what a load is to do, as in "did not ..."."""
    if options.rate_per_user is not None:
        return f"offer {options.offered_per_second:g} requests a second"
    return "have all its users send requests"
