"""Entries by https, and those behind a proxy: each part of the load reaches them, and none trusts what it may not."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flametest.ledger import Auditor, Ledger, LedgerOptions, reader_of
from flametest.load import LoadError, LoadOptions, Locust, Prober
from flametest.load.exchange import Answer, Entry
from flametest.load.lanes import FreshLane, KeepAliveLane, Progress, ask
from flametest.measure.samples import Samples, read_samples
from flametest.model.routes import CA_FILE, INSECURE, Route, Trust
from tests.certificates import Authority
from tests.kube.serving import TlsApi, serving
from tests.ledger.conftest import ledger_of_the_shop
from tests.patience import PATIENCE_SECONDS
from tests.proxying import HttpProxy

HTTP_USER = """
from locust import HttpUser, constant, task

class Asking(HttpUser):
    wait_time = constant(0.05)

    @task
    def look(self):
        self.client.get("/")
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def entry(authority: Authority) -> Iterator[TlsApi]:
    """An https entry on loopback, whose certificate is for its address and for shop.example."""
    with serving(authority.pair("127.0.0.1", "shop.example").serving()) as served:
        yield served


def sent(lane: Any, times: int = 1) -> list[tuple[Answer | None, str]]:
    """Return what came of so many requests, one after another."""

    async def send() -> list[tuple[Answer | None, str]]:
        try:
            return [await ask(lane.send(Progress(), {}), 10) for _ in range(times)]
        finally:
            lane.close()

    return asyncio.run(send())


@pytest.mark.parametrize("lane", [FreshLane, KeepAliveLane])
def test_both_lanes_speak_tls_to_the_host_that_the_url_names(
    entry: TlsApi, authority: Authority, lane: Callable[[Entry], Any]
) -> None:
    route = Route(Trust(str(authority.file)))
    found = sent(lane(Entry.from_url(f"https://127.0.0.1:{entry.port}/visits?page=1", route)), 3)
    assert [(answer.status, error) for answer, error in found if answer] == [(200, "")] * 3
    assert entry.paths == ["/visits?page=1"] * 3
    assert entry.headers("host") == [f"127.0.0.1:{entry.port}"]


@pytest.mark.parametrize("lane", [FreshLane, KeepAliveLane])
def test_a_certificate_that_is_not_trusted_is_no_answer_unless_anybody_is(
    entry: TlsApi, lane: Callable[[Entry], Any], tmp_path: Path
) -> None:
    url = f"https://127.0.0.1:{entry.port}/"
    other = Route(Trust(str(Authority(tmp_path, "other").file)))
    assert sent(lane(Entry.from_url(url, other))) == [(None, "other")]
    assert not entry.heard
    ((answer, error),) = sent(lane(Entry.from_url(url, Route(Trust(insecure=True)))))
    assert (answer.status if answer else 0, error) == (200, "")


def test_the_wrong_host_name_is_no_answer(entry: TlsApi, authority: Authority) -> None:
    url = f"https://localhost:{entry.port}/"
    assert sent(FreshLane(Entry.from_url(url, Route(Trust(str(authority.file)))))) == [(None, "other")]


@pytest.mark.parametrize("lane", [FreshLane, KeepAliveLane])
def test_an_entry_behind_a_proxy_is_reached_through_it(
    entry: TlsApi, authority: Authority, lane: Callable[[Entry], Any]
) -> None:
    with HttpProxy(entry.port) as proxy:
        route = Route(Trust(str(authority.file)), proxy.url)
        found = sent(lane(Entry.from_url("https://shop.example/visits", route)), 2)
    assert [answer.status for answer, _ in found if answer] == [200, 200]
    assert set(proxy.asked) == {"CONNECT shop.example:443"}
    assert entry.headers("host") == ["shop.example"]
    assert set(entry.paths) == {"/visits"}


def test_an_entry_in_the_clear_is_asked_of_the_proxy_by_its_whole_address() -> None:
    with serving() as served, HttpProxy(served.port) as proxy:
        ((answer, _),) = sent(FreshLane(Entry.from_url("http://shop.example/visits", Route(proxy=proxy.url))))
    assert answer is not None
    assert proxy.asked == ["GET http://shop.example:80/visits"]


def test_a_proxy_that_refuses_is_no_answer_of_the_entry() -> None:
    with HttpProxy(1, refuses=403) as proxy:
        lane = FreshLane(Entry.from_url("https://shop.example/", Route(proxy=proxy.url)))
        assert sent(lane) == [(None, "other")]


@pytest.mark.parametrize("proxy", ["socks5://x:1080", "http://me:secret@x:1", "https://x", "http://x:99999"])
def test_a_proxy_that_load_cannot_go_through_is_refused_without_its_password(proxy: str) -> None:
    with pytest.raises(LoadError, match="without a password only") as raised:
        Entry.from_url("http://shop.example", Route(proxy=proxy))
    assert "secret" not in raised.value.message + raised.value.remedy


@pytest.mark.parametrize("content", [None, "no certificate", ""])
def test_a_file_of_authorities_that_cannot_be_used_is_told(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LoadError, match=r"trusted authorities .*ca\.pem") as raised:
        Entry.from_url("https://shop.example", Route(Trust(str(path))))
    assert "--ca-file" in raised.value.remedy


def samples_of(path: Path) -> Samples:
    with path.open(newline="") as file:
        return read_samples(file)


def test_the_prober_measures_an_https_entry(
    entry: TlsApi, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CA_FILE, str(authority.file))
    with Prober(f"https://127.0.0.1:{entry.port}/", tmp_path) as prober:
        prober.wait_first_samples()
        wait_for(lambda: len(entry.paths) >= 6)
        prober.stop()
    found = samples_of(prober.records_file)
    assert found.good[:6].all()


def test_the_ledger_and_its_audit_speak_tls(entry: TlsApi, authority: Authority, tmp_path: Path) -> None:
    url, environment = f"https://127.0.0.1:{entry.port}", {CA_FILE: str(authority.file)}
    definition = ledger_of_the_shop()

    def auditor(trusted: dict[str, str]) -> Auditor:
        return Auditor(definition, reader_of(definition, url, trusted))

    with Ledger(LedgerOptions(url, definition, "7", environment=environment), tmp_path) as ledger:
        wait_for(lambda: len(entry.paths) >= 2)
        ledger.stop()
    assert set(entry.paths) == {"/shop/api/orders"}
    with pytest.raises(LoadError, match="has nothing at"):  # this entry is no shop, and was asked
        auditor(environment).begin()
    with pytest.raises(LoadError, match="certificate verify failed"):
        auditor({CA_FILE: str(Authority(tmp_path, "other").file)}).begin()


@pytest.mark.parametrize("kind", ["FastHttpUser", "HttpUser"])
@pytest.mark.parametrize("trusted", ["authority", "anybody", "another"])
def test_locust_trusts_what_all_trust_whatever_its_load_test_is(
    entry: TlsApi, authority: Authority, tmp_path: Path, kind: str, trusted: str
) -> None:
    environment = {
        "authority": {CA_FILE: str(authority.file)},
        "anybody": {INSECURE: "true"},
        "another": {CA_FILE: str(Authority(tmp_path, "other").file)},
    }[trusted]
    file = tmp_path / "load.py"
    file.write_text(HTTP_USER.replace("HttpUser", kind))
    options = LoadOptions(1, 10, f"https://127.0.0.1:{entry.port}", file, 60, environment=environment)
    with Locust(options, tmp_path) as locust:
        wait_for(lambda: (tmp_path / "samples-load.csv").exists() and len(rows(tmp_path)) > 3, locust.check)
    found = samples_of(tmp_path / "samples-load.csv")
    assert found.good.all() if trusted != "another" else found.bad.all()
    assert bool(entry.heard) is (trusted != "another")


def test_the_own_load_test_reaches_an_https_entry(
    entry: TlsApi, authority: Authority, tmp_path: Path, locustfile: Path
) -> None:
    environment = {CA_FILE: str(authority.file)}
    options = LoadOptions(1, 10, f"https://127.0.0.1:{entry.port}", locustfile, 60, "/visits", environment)
    with Locust(options, tmp_path) as locust:
        wait_for(lambda: len(entry.paths) > 3, locust.check)
    assert samples_of(tmp_path / "samples-load.csv").good[:2].all()


def rows(folder: Path) -> list[str]:
    return (folder / "samples-load.csv").read_text().splitlines()


def wait_for(condition: Callable[[], bool], check: Callable[[], None] = lambda: None) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        check()
        assert time.monotonic() < deadline
        time.sleep(0.02)
