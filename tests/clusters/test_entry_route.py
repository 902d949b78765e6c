"""Asking an entry before a run: whose answer counts, by which way, and what is wrong with a certificate in words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from flametest.cli.commands import cluster_option
from flametest.cli.where import Where, at_cluster
from flametest.clusters import Access, ClusterError
from flametest.clusters.entry import ask_entry
from flametest.model.proxies import proxy_for
from flametest.model.routes import CA_FILE, ENTRY_PROXY, INSECURE, Route, RouteError, Trust
from tests.apiserver.serving import self_signed
from tests.certificates import Authority
from tests.kube.serving import serving
from tests.proxying import HttpProxy

PROXIES = {"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"}
FOUND = Access(Path("kubeconfig"), "one", "http://10.0.0.7:30080")


@pytest.mark.parametrize(
    ("fault", "told", "remedy"),
    [
        ("self-signed", "its certificate is self-signed", "--ca-file"),
        ("unknown", "signed by an authority that is not known here", "--ca-file"),
        ("name", "its certificate is for another host name", "--url"),
        ("expired", "its certificate has expired", "renewed"),
    ],
)
def test_a_certificate_that_is_not_to_be_trusted_is_told_in_words_with_the_remedy(
    tmp_path: Path, fault: str, told: str, remedy: str
) -> None:
    authority = Authority(tmp_path)
    host, days = ("elsewhere" if fault == "name" else "127.0.0.1"), (-1 if fault == "expired" else 1)
    context = self_signed() if fault == "self-signed" else authority.pair(host, days=days).serving()
    trust = Trust() if fault in ("self-signed", "unknown") else Trust(str(authority.file))
    with serving(context) as served:
        with pytest.raises(ClusterError, match=told) as raised:
            ask_entry(f"https://127.0.0.1:{served.port}", Route(trust), 10)
        assert remedy in raised.value.remedy
        answer = ask_entry(f"https://127.0.0.1:{served.port}", Route(Trust(insecure=True)), 10)
        assert answer is not None
        assert answer.status == 200


def test_https_asked_of_a_port_without_tls_is_told() -> None:
    with serving() as served, pytest.raises(ClusterError, match="does not speak TLS"):
        ask_entry(f"https://127.0.0.1:{served.port}", Route(), 10)


def test_nobody_who_listens_is_no_answer_and_no_error() -> None:
    assert ask_entry("http://127.0.0.1:1", Route(), 10) is None
    assert ask_entry("https://127.0.0.1:1", Route(), 10) is None


@pytest.mark.parametrize("url", ["http://shop.example", "https://shop.example"])
def test_a_proxys_own_answer_is_none_of_the_entry(url: str) -> None:
    told = f"answers in place of the entry {url}: 403"
    with HttpProxy(1, refuses=403) as proxy, pytest.raises(ClusterError, match=told) as raised:
        ask_entry(url, Route(proxy=proxy.url), 10)
    assert proxy.url in raised.value.message


def test_an_entry_is_asked_through_its_proxy(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serving(authority.pair("shop.example").serving()) as served, HttpProxy(served.port) as proxy:
        route = Route(Trust(str(authority.file)), proxy.url)
        assert ask_entry("https://shop.example/visits", route, 10)
    assert served.paths == ["/visits"]


def test_what_was_found_and_what_is_local_goes_through_no_proxy() -> None:
    assert FOUND.route(PROXIES).proxy == ""
    assert "10.0.0.7" in FOUND.environment(PROXIES)["NO_PROXY"].split(",")
    for url in ("http://127.0.0.1:30080", "http://localhost", "https://[::1]:1", "http://127.3.4.5"):
        named = replace(FOUND, url=url, is_url_named=True)
        assert named.route(PROXIES).proxy == ""
        assert ENTRY_PROXY not in named.environment(PROXIES)


def test_what_the_user_names_is_reached_as_curl_reaches_it() -> None:
    named = replace(FOUND, url="https://shop.example", is_url_named=True)
    assert named.route(PROXIES).proxy == "http://127.0.0.1:1"
    assert named.environment(PROXIES)[ENTRY_PROXY] == "http://127.0.0.1:1"
    assert "shop.example" not in named.environment(PROXIES)["NO_PROXY"]
    assert named.route(PROXIES | {"NO_PROXY": "shop.example"}).proxy == ""


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_proxied"),
    [
        ("http://shop.example", "", True),
        ("http://shop.example", "*", False),
        ("http://a.shop.example", "shop.example", False),
        ("http://a.shop.example", ".shop.example", False),
        ("http://myshop.example", "shop.example", True),
        ("http://shop.example:8080", "shop.example:8080", False),
        ("http://shop.example:8080", "shop.example:80", True),
        ("http://10.1.2.3", "10.0.0.0/8", False),
        ("http://11.1.2.3", "10.0.0.0/8, 11.1.2.3", False),
        ("http://[fd00::1]", "fd00::/8", False),
        ("http://SHOP.example.", "shop.EXAMPLE", False),
        ("http://127.0.0.9:30080", "", False),
        ("http://x.localhost", "", False),
    ],
)
def test_no_proxy_excepts_what_it_names(url: str, no_proxy: str, is_proxied: bool) -> None:
    assert bool(proxy_for(url, {"http_proxy": "proxy:3128", "NO_PROXY": no_proxy})) is is_proxied


def test_the_trust_goes_to_all_processes_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    access = replace(FOUND, trust=Trust("ca.pem", insecure=True))
    environment = access.environment({})
    assert (environment[CA_FILE], environment[INSECURE]) == (str(tmp_path / "ca.pem"), "true")
    assert Trust.of(environment) == Trust(str(tmp_path / "ca.pem"), True)
    assert not {CA_FILE, INSECURE, ENTRY_PROXY} & set(FOUND.environment({}))
    with pytest.raises(RouteError, match=INSECURE):
        Trust.of({INSECURE: "perhaps"})


def parsed(*arguments: str, environment: Any = None) -> tuple[int, str, Where | None]:
    found: list[Where] = []

    @click.command()
    @at_cluster
    def command(where: Where) -> None:
        found.append(where)

    outcome = CliRunner().invoke(command, arguments, env=environment)
    return outcome.exit_code, outcome.output, found[0] if found else None


def test_options_say_whom_to_trust_and_so_does_the_environment() -> None:
    _, _, where = parsed("--url", "https://shop.example/", "--ca-file", "ca.pem", "--insecure")
    assert where is not None
    assert (where.url, where.trust) == ("https://shop.example", Trust("ca.pem", True))
    assert cluster_option(where) == " --url https://shop.example --ca-file ca.pem --insecure"
    _, _, where = parsed(environment={CA_FILE: "other.pem", INSECURE: "true"})
    assert where is not None
    assert where.trust == Trust("other.pem", True)


@pytest.mark.parametrize("url", ["shop.example", "ftp://shop.example", "http://", "http://[::1", "http://a:99999"])
def test_an_entry_that_is_no_url_is_a_usage_error(url: str) -> None:
    code, told, _ = parsed("--url", url)
    assert code == 2
    assert "expected an http or https URL" in told
