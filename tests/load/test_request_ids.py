"""Every request of prober, ledger and load carries an id that its sample keeps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flametest.ledger import Ledger, LedgerOptions
from flametest.load.locust_runner import LoadOptions, Locust
from flametest.load.prober import Prober
from flametest.measure.ledger import read_attempts, read_looks
from flametest.measure.samples import Samples, read_samples
from flametest.model.requestids import trace_id_of
from tests.ledger.conftest import ledger_of_the_shop

OWN_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ASKING = """
from locust import FastHttpUser, HttpUser, constant, task

class Quick(FastHttpUser):
    wait_time = constant(0.05)
    @task
    def look(self):
        self.client.get("/quick")
        with self.client.post("/checked", json={}, headers={"Own": "yes"}, catch_response=True) as answer:
            answer.failure("on purpose")

class Slow(HttpUser):
    wait_time = constant(0.05)
    @task
    def look(self):
        self.client.get("/slow", context={"their": "own"})
"""
OWN_IDS = f"""
from locust import HttpUser, constant, task

class Own(HttpUser):
    wait_time = constant(0.05)
    def on_start(self):
        self.client.headers["x-request-id"] = "theirs"
    @task
    def look(self):
        self.client.get("/own", headers={{"Traceparent": "{OWN_PARENT}"}})
"""


def sent_ids(target: Any) -> set[str]:
    """Return the ids that have reached the server."""
    return {trace_id_of(one["traceparent"]) for one in target.headers}


def recorded(folder: Path, name: str) -> Samples:
    with (folder / name).open(newline="") as lines:
        return read_samples(lines)


def kept_ids(samples: Samples) -> list[str]:
    return [samples.row(index).trace_id for index in range(len(samples))]


def test_each_request_of_the_prober_has_an_id_of_its_own(target: Any, tmp_path: Path) -> None:
    with Prober(target.url + "/", tmp_path, interval_ms=20) as prober:
        prober.wait_first_samples()
        prober.stop()
    kept = kept_ids(recorded(tmp_path, "samples-prober.csv"))
    assert len(kept) == len(set(kept)) > 0
    assert set(kept) == sent_ids(target)
    assert all(one["x-request-id"] == trace_id_of(one["traceparent"]) for one in target.headers)


def test_each_write_and_each_look_of_the_ledger_has_one(
    target: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    definition = ledger_of_the_shop(per_second=50.0, id="")
    with Ledger(LedgerOptions(target.url, definition, "7"), tmp_path) as ledger:
        wait_until(lambda: len(target.requests) >= 10)
        ledger.stop()
    with (tmp_path / "ledger.csv").open(newline="") as lines:
        attempts = read_attempts(lines)
    with (tmp_path / "looks.csv").open(newline="") as lines:
        kept = [*(one.trace_id for one in attempts), *(one.trace_id for one in read_looks(lines))]
    assert len(kept) == len(set(kept))
    assert set(kept) == sent_ids(target)


def load(target: Any, folder: Path, text: str, wait_until: Callable[..., None], requests: int) -> list[str]:
    """Run a load test until it has sent so many requests, and return the ids that its samples keep."""
    file = folder / "theirs.py"
    file.write_text(text)
    options = LoadOptions(users=2, rate_per_user=None, url=target.url, locustfile=file)
    with Locust(options, folder):
        wait_until(lambda: len(target.requests) >= requests)
    return kept_ids(recorded(folder, "samples-load.csv"))


def test_each_request_of_any_load_test_has_one(target: Any, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    kept = load(target, tmp_path, ASKING, wait_until, 12)
    assert {one.split()[1] for one in target.requests} == {"/quick", "/checked", "/slow"}
    assert len(kept) == len(set(kept))
    assert set(kept) == sent_ids(target)
    assert any(one.get("own") == "yes" for one in target.headers)


def test_ids_of_a_load_test_stay_as_they_are(target: Any, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    kept = load(target, tmp_path, OWN_IDS, wait_until, 4)
    assert set(kept) == sent_ids(target) == {trace_id_of(OWN_PARENT)}
    assert {one["x-request-id"] for one in target.headers} == {"theirs"}


def test_without_ids_no_request_carries_any(
    target: Any, tmp_path: Path, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMETEST_REQUEST_IDS", "off")
    kept = load(target, tmp_path, ASKING, wait_until, 6)
    assert set(kept) == {""}
    assert all("traceparent" not in one and "x-request-id" not in one for one in target.headers)
