"""``flametest init`` on manifests: what it tells, what it writes, and what it refuses with a remedy and exit code 2."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flametest.cli.main import main

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "manifests"
QUOTES = ROOT / "examples" / "quotes" / "manifests"


def init(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["init", *map(str, arguments)])


def test_the_ticket_shop_is_weak_in_its_two_single_pods_only(tmp_path: Path) -> None:
    done = init("--manifests", SHOP, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "weaknesses: 2 high\n" in done.output
    assert "StatefulSet postgres single-pod: 1 replica, needed by api, logic" in done.output
    assert "StatefulSet redis single-pod: 1 replica, needed by api, logic" in done.output
    assert "entry: Service nginx (its type is NodePort), http://127.0.0.1:30080 /" in done.output
    written = {path.stem for path in (tmp_path / "experiments").glob("*.json")}
    assert written >= {"pod-delete-nginx", "pod-delete-api", "remove-service-logic", "scale-api", "outage-redis"}


def test_the_example_is_told_the_weaknesses_that_it_was_given(tmp_path: Path) -> None:
    done = init("--manifests", QUOTES, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    for rule in ("single-pod", "no-disruption-budget", "not-spread", "floating-image", "no-pre-stop"):
        assert f" {rule}: " in done.output
    assert "no experiment of its own for Deployment tally" in done.output


def test_the_url_and_the_entry_can_be_named(tmp_path: Path) -> None:
    done = init("--manifests", SHOP, "--out", tmp_path, "--entry", "api", "--url", "http://127.0.0.1:9/")
    assert "entry: Service api (named by --entry), http://127.0.0.1:9 /" in done.output
    assert "warning: http://127.0.0.1:9 answers none of /readyz with 200" in done.output


def test_the_paths_can_be_named_and_have_to_be_some(tmp_path: Path) -> None:
    done = init("--manifests", SHOP, "--out", tmp_path, "--path", "/shop/api/events", "--path", "/")
    assert done.exit_code == 0, done.output
    recorder = json.loads((tmp_path / "experiments" / "outage-redis.json").read_text())["controls"][0]
    assert recorder["provider"]["arguments"]["path"] == "/shop/api/events"
    assert 'PATHS = {"/shop/api/events": 3, "/": 1}' in (tmp_path / "loadtests" / "locustfile.py").read_text()
    refused = init("--manifests", SHOP, "--path", "shop")
    assert (refused.exit_code, "path 'shop' does not begin with a slash" in refused.output) == (2, True)


def test_files_that_differ_are_not_overwritten_without_force(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    done = init("--manifests", QUOTES, "--out", tmp_path)
    assert done.exit_code == 2
    assert "holds other versions of README.md; nothing was written" in done.output
    assert "remedy: name another folder with --out, or add --force" in done.output
    assert [one.name for one in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("", "", "holds no manifest"),
        ("web.yaml", "kind: [", "web.yaml, document 1: no valid YAML"),
        ("web.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n", "holds no Deployment, StatefulSet"),
        ("web.yaml", "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: a}\n", "holds no Deployment and no"),
    ],
)
def test_a_folder_with_nothing_to_test_is_refused_with_a_remedy(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    if name:
        (tmp_path / name).write_text(text)
    done = init("--manifests", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert complaint in done.output
    assert "remedy: " in done.output
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_is_refused_with_a_remedy(tmp_path: Path) -> None:
    done = init("--manifests", tmp_path / "absent")
    assert done.exit_code == 2
    assert "absent does not exist\nremedy: name the folder of your manifests with --manifests" in done.output


def test_a_cluster_that_does_not_run_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path / "home"))
    done = init("--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "no sandbox is running" in done.output
    assert "--manifests" in done.output


def test_what_is_told_is_told_to_tools_as_well(tmp_path: Path) -> None:
    done = init("--manifests", QUOTES, "--out", tmp_path, "--format", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    described = set(
        re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", (ROOT / "docs" / "init-json.md").read_text(), re.MULTILINE)
    )
    assert set(told) == {name for names in described for name in re.findall(r"\w+", names)}
    assert {one["name"]: one["role"]["name"] for one in told["workloads"]} == {
        "quotes": "entry",
        "tally": "worker",
        "redis": "store",
    }
    need = told["needs"][0]
    assert need == {
        "workload": "Deployment quotes",
        "service": "redis",
        "port": 6379,
        "certainty": "seen",
        "evidence": {
            "part": "Deployment quotes",
            "field": "container quotes, env REDIS_URL",
            "place": "quotes.yaml:17",
        },
    }
    assert told["findings"][0]["rule"] == "single-pod"
    assert told["entry"]["url"] == "http://127.0.0.1:30080"
    assert str(tmp_path / "README.md") in told["written"]
