"""The built-in images, run for real, each in a network namespace of its own."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.agent.processes import ProcessRuntime
from flametest.sandbox.images.builtin.plain import python
from flametest.sandbox.images.catalogue import Catalogue
from flametest.sandbox.images.image import Bind

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces by name, which needs root"),
]

NGINX = "nginxinc/nginx-unprivileged:latest"
FETCH = "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET %s HTTP/1.0\\r\\n\\r\\n' \"$0\" >&3; cat <&3"


@pytest.fixture
async def cluster(tmp_path: Path, bench_class: Any, namespace_network: Any) -> AsyncIterator[Any]:
    runtime = ProcessRuntime(str(tmp_path / "runtime"))
    async with bench_class(runtime, tmp_path, Catalogue(), namespace_network) as bench:
        yield bench
        for pod in bench.objects.list("pods"):
            bench.objects.delete("pods", "default", pod["metadata"]["name"], grace_seconds=0)
        await bench.until(lambda: not namespace_network.attached)
    assert not [name for name in os.listdir("/run/netns") if name.startswith(f"flametest-agent-{os.getpid()}-")]


def probe(*command: str) -> dict[str, Any]:
    return {"exec": {"command": list(command)}, "periodSeconds": 0.1, "timeoutSeconds": 2}


async def output(cluster: Any, pod: str, *command: str) -> str:
    process = await cluster.agent.execute("default", pod, "main", list(command), stdin=False, tty=False)
    return b"".join([data async for _, data in process.output()]).decode()


async def test_redis_answers_and_keeps_its_data_in_a_claim(cluster: Any) -> None:
    metadata = {"name": "data", "namespace": "default"}
    cluster.objects.create("persistentvolumeclaims", {"metadata": metadata, "status": {"phase": "Bound"}})

    def create(name: str) -> None:
        container = {
            "name": "main",
            "image": "redis:latest",
            "args": ["--appendonly", "yes"],
            "readinessProbe": probe("sh", "-c", 'test "$(redis-cli ping)" = PONG'),
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 999},
        }
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        cluster.create(name, containers=[container], volumes=[volume])

    create("first")
    await cluster.until(lambda: "Ready" in cluster.conditions("first"))
    assert await output(cluster, "first", "redis-cli", "config", "get", "protected-mode") == "protected-mode\nno\n"
    assert await output(cluster, "first", "redis-cli", "set", "colour", "blue") == "OK\n"
    cluster.objects.delete("pods", "default", "first")
    await cluster.until(lambda: cluster.objects.get("pods", "default", "first") is None)
    create("second")
    await cluster.until(lambda: "Ready" in cluster.conditions("second"))
    assert await output(cluster, "second", "redis-cli", "get", "colour") == "blue\n"


async def test_postgres_makes_user_and_database_once_and_wants_the_password(cluster: Any) -> None:
    script = {"metadata": {"name": "init", "namespace": "default"}, "data": {"1.sql": "create table things (id int);"}}
    cluster.objects.create("configmaps", script)
    container = {
        "name": "main",
        "image": "postgres:16-alpine",
        "env": [
            {"name": "POSTGRES_USER", "value": "shop"},
            {"name": "POSTGRES_DB", "value": "orders"},
            {"name": "POSTGRES_PASSWORD", "value": "hush"},
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/inner"},
        ],
        "readinessProbe": probe("pg_isready", "--quiet", "--host=127.0.0.1"),
        "volumeMounts": [{"name": "init", "mountPath": "/docker-entrypoint-initdb.d"}],
    }
    cluster.create("db", containers=[container], volumes=[{"name": "init", "configMap": {"name": "init"}}])
    await cluster.until(lambda: "Ready" in cluster.conditions("db"), 30.0)
    ask = "psql -tA -h 127.0.0.1 -U shop -d orders -c 'select current_user, count(*) from things'"
    assert await output(cluster, "db", "sh", "-c", f"PGPASSWORD=hush {ask}") == "shop|0\n"
    assert "password authentication failed" in await output(cluster, "db", "sh", "-c", f"PGPASSWORD=wrong {ask}")
    assert await output(cluster, "db", "id", "-un") == "postgres\n"


async def test_postgres_without_a_password_says_what_is_missing(cluster: Any) -> None:
    cluster.create("db", restartPolicy="Never", containers=[{"name": "main", "image": "postgres:16"}])
    await cluster.until_phase("db", "Failed")
    assert "superuser password is not specified" in await cluster.text("db")


async def test_nginx_serves_its_page_and_logs_to_standard_output(cluster: Any) -> None:
    page = {"metadata": {"name": "page", "namespace": "default"}, "data": {"index.html": "<p>mine</p>", "a.css": "p{}"}}
    cluster.objects.create("configmaps", page)
    container = {
        "name": "main",
        "image": NGINX,
        "readinessProbe": probe("bash", "-c", FETCH, "/"),
        "volumeMounts": [{"name": "page", "mountPath": "/usr/share/nginx/html"}],
    }
    cluster.create("web", containers=[container], volumes=[{"name": "page", "configMap": {"name": "page"}}])
    await cluster.until(lambda: "Ready" in cluster.conditions("web"))
    assert "<p>mine</p>" in await output(cluster, "web", "bash", "-c", FETCH, "/")
    assert "Content-Type: text/css" in await output(cluster, "web", "bash", "-c", FETCH, "/a.css")
    assert '"GET /a.css HTTP/1.0" 200' in await cluster.text("web")
    cluster.objects.delete("pods", "default", "web")
    await cluster.until(lambda: cluster.objects.get("pods", "default", "web") is None)
    ended = cluster.objects.last("pods").object["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 0


async def test_a_config_map_that_changes_is_seen_in_the_container(cluster: Any) -> None:
    words = {"metadata": {"name": "words", "namespace": "default"}, "data": {"word": "one"}}
    cluster.objects.create("configmaps", words)
    container = {
        "name": "main",
        "image": "busybox",
        "command": ["sh", "-c", "while :; do sleep 1; done"],
        "volumeMounts": [{"name": "words", "mountPath": "/words"}],
    }
    cluster.create("reader", containers=[container], volumes=[{"name": "words", "configMap": {"name": "words"}}])
    await cluster.until_phase("reader", "Running")
    assert await output(cluster, "reader", "cat", "/words/word") == "one"
    (shown,) = (cluster.folder / "pods").glob("*/volumes/words/..data")
    before = shown.readlink()
    cluster.objects.update("configmaps", {**words, "data": {"word": "two"}})
    await cluster.until(lambda: shown.readlink() != before)
    assert await output(cluster, "reader", "cat", "/words/word") == "two"


def test_packages_that_are_installed_elsewhere_are_there_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "lib" / "site-packages"
    own.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path, str(own)])
    image = python("3")
    assert image is not None
    assert Bind(str(own), str(own), stays=True) in image.binds
    assert dict(image.environment)["PYTHONPATH"] == str(own)


async def test_python_is_the_interpreter_of_the_sandbox_with_what_it_has(cluster: Any) -> None:
    code = "import sys, pytest, socket; print(sys.version_info.major, socket.gethostname())"
    for number, program in enumerate(("python", "/usr/local/bin/python3")):
        name = f"py{number}"
        container = {"name": "main", "image": "python:3", "command": [program, "-c", code]}
        cluster.create(name, restartPolicy="Never", containers=[container])
        await cluster.until_phase(name, "Succeeded")
        assert await cluster.text(name) == f"3 {name}\n"
