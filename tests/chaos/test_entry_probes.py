"""Probes by HTTP of an https entry: they trust whom all trust who ask it, and others are left alone."""

from pathlib import Path
from typing import Any

import pytest
from chaoslib.provider.http import run_http_activity

from flametest.chaos.entryprobes import trust_entry
from flametest.chaos.values import Values
from flametest.model.routes import CA_FILE, INSECURE
from tests.certificates import Authority
from tests.kube.serving import serving


def probe(url: str = "${entry}/visits", **provider: Any) -> dict[str, Any]:
    return {"type": "probe", "name": "answers", "provider": {"type": "http", "url": url, "timeout": 10, **provider}}


def test_a_probe_of_the_entry_gets_its_answer(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serving(authority.pair("127.0.0.1").serving()) as served:
        url = f"https://127.0.0.1:{served.port}"
        activity, configuration = probe(), {"entry": url}
        trust_entry(activity, Values(configuration), {"FLAMETEST_URL": url, CA_FILE: str(authority.file)})
        answer = run_http_activity(activity, configuration, {})
    assert answer["status"] == 200
    assert served.paths == ["/visits"]


@pytest.mark.parametrize(
    ("activity", "environment", "expected"),
    [
        (probe(), {INSECURE: "true"}, False),
        (probe(), {CA_FILE: "/ca.pem"}, "/ca.pem"),
        (probe(), {}, None),
        (probe("https://elsewhere.example/"), {INSECURE: "true"}, None),
        (probe("https://shop.example.evil/"), {INSECURE: "true"}, None),
        (probe(verify_tls=True), {INSECURE: "true"}, True),
        ({"provider": {"type": "python", "module": "m", "url": "${entry}"}}, {INSECURE: "true"}, None),
    ],
)
def test_only_probes_of_the_entry_that_do_not_say_whom_they_trust(
    activity: dict[str, Any], environment: dict[str, str], expected: object
) -> None:
    url = "https://shop.example"
    trust_entry(activity, Values({"entry": url}), {"FLAMETEST_URL": url, **environment})
    assert activity["provider"].get("verify_tls") == expected
