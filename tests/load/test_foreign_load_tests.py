"""Load tests that know nothing of Flametest, with stock Locust: nothing of them vanishes, and what breaks is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flametest.load import LoadError, LoadOptions, Locust
from flametest.load.generator import GeneratorReport, Trouble
from flametest.measure.samples import Samples, read_samples
from flametest.model.events import LoadTrouble

HEAD = """
import gevent, time
from locust import FastHttpUser, HttpUser, LoadTestShape, User, between, constant, events, tag, task
from locust.exception import RescheduleTask, StopUser
"""


class Foreign:
    """A load test of somebody's, run as a run would."""

    def __init__(self, url: str, folder: Path, wait_until: Callable[..., None]) -> None:
        self._url = url
        self._folder = folder
        self._wait_until = wait_until

    def run(self, text: str, until: Callable[[Samples, GeneratorReport], bool], **options: Any) -> None:
        """Run the load test until what it has recorded and told is as wanted."""
        file = self._folder / "theirs.py"
        file.write_text(HEAD + text)
        with Locust(LoadOptions(**({"users": 4} | options), **self._common(file)), self._folder) as locust:
            self._wait_until(lambda: until(self.samples, locust.report()), 30)
        self.report = locust.report()

    def _common(self, file: Path) -> dict[str, Any]:
        return {"rate_per_user": None, "url": self._url, "locustfile": file}

    @property
    def samples(self) -> Samples:
        """Return what is recorded."""
        try:
            with (self._folder / "samples-load.csv").open(newline="") as rows:
                return read_samples(rows)
        except FileNotFoundError:
            return Samples.of(())

    def troubles(self, kind: LoadTrouble) -> list[Trouble]:
        """Return what it said went wrong."""
        return [one for one in self.report.troubles if one.trouble is kind]


@pytest.fixture
def foreign(target: Any, tmp_path: Path, wait_until: Callable[..., None]) -> Foreign:
    return Foreign(target.url, tmp_path, wait_until)


def test_users_of_several_classes_with_pauses_tags_and_checks_are_recorded(foreign: Foreign, target: Any) -> None:
    foreign.run(
        """
class Quick(FastHttpUser):
    wait_time = between(0.05, 0.1)
    @tag("smoke")
    @task
    def look(self):
        with self.client.get("/look", catch_response=True) as answer:
            if answer.text != "ok":
                answer.failure("no page")
    @task
    def never(self):
        self.client.get("/never")

class Slow(HttpUser):
    wait_time = constant(0.1)
    @tag("smoke")
    @task
    def stay(self):
        with self.client.get("/stay", catch_response=True, name="stay, and so on") as answer:
            answer.failure("not good enough")
""",
        lambda samples, report: len(samples) >= 40 and report.users == 4,
        arguments=("--tags", "smoke"),
    )
    samples = foreign.samples
    assert set(samples.names) == {"GET /look", "GET stay, and so on"}
    assert "GET /never" not in target.requests
    looked = samples.where(samples.name_code == samples.names.index("GET /look"))
    assert looked.good.all()
    assert samples.bad.sum() == len(samples) - len(looked)
    assert samples.pods == ("target",)
    assert foreign.report.troubles == ()
    assert foreign.report.ended_by == ""


def test_failures_that_bring_no_response_time_are_failed_requests(foreign: Foreign) -> None:
    foreign.run(
        """
class Remote(User):
    wait_time = constant(0.05)
    @task
    def call(self):
        self.environment.events.request.fire(
            request_type="grpc", name="/Buy", response_time=None, response_length=0, exception=OSError("UNAVAILABLE")
        )
""",
        lambda samples, _: len(samples) >= 20,
    )
    assert foreign.samples.bad.all()
    assert foreign.samples.names == ("grpc /Buy",)
    assert foreign.report.troubles == ()


def test_requests_that_are_no_samples_are_counted_with_the_first_reason(foreign: Foreign) -> None:
    foreign.run(
        """
class Half(FastHttpUser):
    wait_time = constant(0.05)
    @task
    def call(self):
        self.client.get("/")
        self.environment.events.request.fire(
            request_type="grpc", name="/Buy", response_time="soon", response_length=0, exception=None
        )
""",
        lambda samples, report: len(samples) >= 20 and any(one.count >= 20 for one in report.troubles),
    )
    (unrecorded,) = foreign.troubles(LoadTrouble.UNRECORDED)
    assert (unrecorded.where, unrecorded.count) == ("grpc", len(foreign.samples))
    assert "its response_time is 'soon'" in unrecorded.cause


@pytest.mark.parametrize("user", ["FastHttpUser", "HttpUser"])
def test_an_answer_over_which_the_load_test_stumbles_is_a_failed_request(foreign: Foreign, user: str) -> None:
    foreign.run(
        f"""
class Stumbling({user}):
    wait_time = constant(0.05)
    @task
    def call(self):
        with self.client.get("/", catch_response=True) as answer:
            answer.json()["id"]
    @task
    def skip(self):
        with self.client.get("/skip", catch_response=True) as answer:
            raise RescheduleTask
""",
        lambda samples, _: len(samples) >= 20 and len(samples.names) == 2,
    )
    samples = foreign.samples
    skipped = samples.name_code == samples.names.index("GET /skip")
    assert samples.good[skipped].all()
    assert samples.bad[~skipped].all()
    (task,) = foreign.troubles(LoadTrouble.TASK)
    assert task.where == "Stumbling.call"
    assert "JSONDecodeError" in task.cause


def test_a_listener_that_steers_or_raises_hides_no_request(foreign: Foreign) -> None:
    foreign.run(
        """
@events.request.add_listener
def steer(**_):
    raise RescheduleTask

@events.request.add_listener
def never(**_):
    raise KeyError("nobody hears this")

@events.test_start.add_listener
def later(environment, **_):
    @environment.events.spawning_complete.add_listener
    def broken(**_):
        raise ValueError("no data")
    environment.events.request.remove_listener(never)

class Steered(FastHttpUser):
    wait_time = constant(0.05)
    @task
    def call(self):
        self.client.get("/")
""",
        lambda samples, report: len(samples) >= 20 and bool(report.troubles),
    )
    assert foreign.samples.good.all()
    (listener,) = foreign.report.troubles
    assert (listener.trouble, listener.where) == (LoadTrouble.LISTENER, "spawning_complete")
    assert listener.cause == "ValueError: no data"


def test_a_test_start_that_raises_is_told(foreign: Foreign) -> None:
    foreign.run(
        """
@events.test_start.add_listener
def prepare(**_):
    raise RuntimeError("the catalogue\\nis empty")

class Looking(FastHttpUser):
    wait_time = constant(0.1)
    @task
    def call(self):
        self.client.get("/")
""",
        lambda samples, report: len(samples) >= 8 and report.users == 4,
    )
    (listener,) = foreign.troubles(LoadTrouble.LISTENER)
    assert (listener.where, listener.count) == ("test_start", 1)
    assert listener.cause == "RuntimeError: the catalogue is empty"


@pytest.mark.parametrize(
    ("ending", "dies"),
    [("raise KeyError('basket')", True), ("raise StopUser", False), ("gevent.getcurrent().kill()", False)],
)
def test_users_that_are_gone_are_missed_whether_they_died_or_stopped(foreign: Foreign, ending: str, dies: bool) -> None:
    foreign.run(
        f"""
from itertools import count
numbers = count()

class Leaving(FastHttpUser):
    wait_time = constant(0.1)
    def on_start(self):
        if next(numbers) % 2:
            {ending}
    @task
    def call(self):
        self.client.get("/")
""",
        lambda _, report: any(one.trouble is LoadTrouble.MISSING for one in report.troubles),
    )
    (missing,) = foreign.troubles(LoadTrouble.MISSING)
    assert (missing.count, missing.cause) == (2, "2 of 4 users were running")
    assert [(one.where, one.count) for one in foreign.troubles(LoadTrouble.DIED)] == ([("user Leaving", 2)] * dies)
    assert [(one.where, one.count) for one in foreign.troubles(LoadTrouble.TASK)] == ([("Leaving.on_start", 2)] * dies)


def test_what_the_load_test_does_beside_its_users_is_told_when_it_dies(foreign: Foreign) -> None:
    foreign.run(
        """
@events.test_start.add_listener
def begin(**_):
    def heartbeat():
        raise ConnectionError("no queue")
    gevent.spawn(heartbeat)

class Looking(FastHttpUser):
    wait_time = constant(0.1)
    @task
    def call(self):
        self.client.get("/")
""",
        lambda samples, report: len(samples) >= 8 and bool(report.troubles),
    )
    (died,) = foreign.report.troubles
    assert died.trouble is LoadTrouble.DIED
    assert died.where.endswith("heartbeat")


ENDINGS = {
    "a shape": (
        """
class Short(LoadTestShape):
    def tick(self):
        return (3, 3) if self.get_run_time() < 2 else None
""",
        "its shape ended",
    ),
    "quit": (
        """
@events.spawning_complete.add_listener
def begin(**_):
    gevent.spawn_later(1, lambda: EN[0].runner.quit())
EN = []
@events.init.add_listener
def keep(environment, **_):
    EN.append(environment)
""",
        "theirs.py:",
    ),
    "stop": (
        """
@events.spawning_complete.add_listener
def begin(**_):
    def end():
        EN[0].runner.stop()
    gevent.spawn_later(1, end)
EN = []
@events.init.add_listener
def keep(environment, **_):
    EN.append(environment)
""",
        "(end) ended it",
    ),
    "a StopTest": (
        """
from locust.exception import StopTest
class Enough(LoadTestShape):
    def tick(self):
        if self.get_run_time() > 2:
            raise StopTest("enough")
        return (3, 3)
""",
        "a StopTest ended it",
    ),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_load_that_ends_itself_says_when_and_what_ended_it(foreign: Foreign, how: str) -> None:
    text, ended_by = ENDINGS[how]
    user = """
class Looking(FastHttpUser):
    wait_time = constant(0.05)
    @task
    def call(self):
        self.client.get("/")
"""
    foreign.run(user + text, lambda _, report: bool(report.ended_ns), users=3)
    assert ended_by in foreign.report.ended_by
    sent_ns = foreign.samples.sent_ns
    assert len(sent_ns) >= 10
    assert abs(int(sent_ns[-1]) - foreign.report.ended_ns) < 3e9


def test_a_shape_is_ended_in_order_by_whoever_started_it(foreign: Foreign, tmp_path: Path) -> None:
    foreign.run(
        """
class Level(LoadTestShape):
    def tick(self):
        return (2, 2)

class Looking(FastHttpUser):
    wait_time = constant(0.05)
    @task
    def call(self):
        self.client.get("/")
""",
        lambda samples, report: len(samples) >= 20 and report.users == 2,
    )
    assert foreign.report.ended_by == ""
    assert "Aggregated" in (tmp_path / "locust.log").read_text()


def test_a_generator_without_descriptors_says_so_in_its_samples(foreign: Foreign) -> None:
    foreign.run(
        """
import os, resource
from itertools import count
numbers = count()

class Fresh(FastHttpUser):
    wait_time = constant(0.05)
    @task
    def call(self):
        self.client.client.clientpool.close()
        if next(numbers) == 10:
            lowest = os.dup(0)
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        self.client.get("/")
""",
        lambda samples, _: bool(samples.bad.sum() >= 5),
    )
    samples = foreign.samples
    assert {samples.errors[code] for code in samples.where(samples.bad).error_code} == {"generator: EMFILE"}
    assert samples.good.sum() >= 5


def test_the_account_of_a_generator_is_bounded(foreign: Foreign, tmp_path: Path) -> None:
    foreign.run(
        """
from itertools import count
numbers = count()
class Inventive(User):
    wait_time = constant(0.01)
    @task
    def call(self):
        raise ValueError(f"number {next(numbers)} " + "x" * 1000)
""",
        lambda _, report: sum(one.count for one in report.troubles) > 60,
    )
    assert len(foreign.report.troubles) <= 21
    assert {one.cause for one in foreign.report.troubles} >= {"others"}
    assert len(json.dumps(json.loads((tmp_path / "generator.json").read_text()))) < 8000


def test_a_load_test_without_users_is_an_error_before_anything_begins(target: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text("x = 1\n")
    options = LoadOptions(1, None, target.url, empty)
    with Locust(options, tmp_path) as locust, pytest.raises(LoadError, match="locust ended by itself with code 1"):
        locust.wait_until_offered()
