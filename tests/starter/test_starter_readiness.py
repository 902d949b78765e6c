"""A readiness probe that asks another service is told where manifests or sources show it, and nowhere else."""

import json
from pathlib import Path

import pytest

from flametest.starter.evidence import Certainty
from flametest.starter.handlers import asking_call
from flametest.starter.rules import find_weaknesses
from flametest.starter.sources import read_folder
from flametest.starter.system import SourceFile
from flametest.starter.topology import Topology, make_topology
from flametest.starter.weakness import Weakness
from tests.starter.systems import Object, container, service, topology_of, workload

REDIS = [workload("redis", "StatefulSet", container("redis", image="redis:7")), service("redis")]


def found(topology: Topology) -> list[Weakness]:
    return [one for one in find_weaknesses(topology) if one.rule == "readiness-asks-another"]


def probed(probe: Object, **pod: object) -> list[Object]:
    return [workload("web", "Deployment", container(readinessProbe=probe), pod=dict(pod)), service("web"), *REDIS]


@pytest.mark.parametrize(
    "probe",
    [
        {"exec": {"command": ["redis-cli", "-h", "redis", "ping"]}},
        {"exec": {"command": ["sh", "-c", "nc -z redis 80"]}},
        {"httpGet": {"host": "redis.shop.svc", "path": "/", "port": 80}},
        {"tcpSocket": {"host": "redis", "port": 80}},
    ],
)
def test_a_probe_that_names_another_service_is_seen(probe: Object) -> None:
    (weakness,) = found(topology_of(*probed(probe)))
    assert weakness.evidence == "readinessProbe of container web asks Service redis"
    assert weakness.certainty is Certainty.SEEN


@pytest.mark.parametrize(
    "probe",
    [
        {"exec": {"command": ["cat", "/tmp/ready"]}},
        {"exec": {"command": ["redis-cli", "ping"]}},
        {"exec": {"command": ["pg_isready", "-h", "web"]}},
        {"httpGet": {"path": "/redis", "port": "http"}},
    ],
)
def test_a_probe_of_the_pod_itself_is_sound(probe: Object) -> None:
    assert found(topology_of(*probed(probe))) == []


def proxy(text: str) -> Topology:
    mounted = {"volumes": [{"name": "c", "configMap": {"name": "conf"}}]}
    config = {"kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"default.conf": text}}
    return topology_of(*probed({"httpGet": {"path": "/healthz", "port": "http"}}, **mounted), config)


def test_a_probe_that_a_proxy_sends_on_asks_another_service() -> None:
    (weakness,) = found(proxy("server {\n  location / {\n    proxy_pass http://redis;\n  }\n}\n"))
    assert weakness.evidence == "readinessProbe of container web asks for /healthz, which is sent on to Service redis"


@pytest.mark.parametrize(
    "location",
    [
        "location = /healthz {\n return 200;\n }",
        "location /healthz {\n return 200;\n }",
        "location ~ ^/(healthz|readyz)$ {\n return 200;\n }",
        "}\n server {\n listen 8081;\n location /x {\n return 200;\n }",
    ],
)
def test_a_probe_that_a_proxy_answers_itself_or_may_answer_is_sound(location: str) -> None:
    assert found(proxy(f"server {{\n  location / {{\n    proxy_pass http://redis;\n  }}\n {location}\n}}\n")) == []


PYTHON = """
@app.get("/healthz")
def alive():
    return "yes"

def check():
    client.ping()

@app.route("/readyz", methods=["GET"])
def ready():
    return check()

@app.get("/items")
def items():
    return db.execute("SELECT 1")
"""
NODE = """
app.get('/healthz', (req, res) => res.send('yes'))
app.get('/readyz', async (req, res) => {
  await pool.query('SELECT 1')
  res.send('yes')
})
"""
GO = """
func ready(w http.ResponseWriter, r *http.Request) {
	if err := db.Ping(); err != nil {
		w.WriteHeader(503)
	}
}

func main() {
	http.HandleFunc("/healthz", alive)
	http.HandleFunc("/readyz", ready)
}
"""


@pytest.mark.parametrize(
    ("name", "text", "call"),
    [
        ("app.py", PYTHON, "client.ping() in app.py:7"),
        ("app.js", NODE, "pool.query() in app.js:4"),
        ("main.go", GO, "db.Ping() in main.go:3"),
    ],
)
def test_what_a_handler_asks_is_read_from_its_source(name: str, text: str, call: str) -> None:
    sources = [SourceFile(name, text)]
    assert asking_call("/readyz", sources) == call
    assert asking_call("/healthz", sources) == ""
    assert asking_call("/absent", sources) == ""


def test_a_source_that_is_no_source_says_nothing() -> None:
    assert asking_call("/readyz", [SourceFile("a.py", "def ("), SourceFile("b.js", "\0" * 9)]) == ""


@pytest.mark.parametrize("is_listed", [True, False])
def test_the_source_of_an_image_is_what_its_dockerfile_copies(tmp_path: Path, is_listed: bool) -> None:
    for name, text in (("Dockerfile", "FROM python:3.13\nCOPY app.py ./\n"), ("app.py", PYTHON), ("old.py", PYTHON)):
        (tmp_path / "web").mkdir(exist_ok=True)
        (tmp_path / "web" / name).write_text(text)
    (tmp_path / "k8s").mkdir()
    objects = [workload("web", "Deployment", container(image="shop/web:1.0")), service("web"), *REDIS]
    for number, one in enumerate(objects):
        (tmp_path / "k8s" / f"{number}.json").write_text(json.dumps(one))
    if is_listed:
        (tmp_path / "k8s" / "images.toml").write_text('[[image]]\nname = "shop/web:1.0"\ncontext = "web"\n')
    system = read_folder(tmp_path / "k8s")
    assert [file.name for file in system.sources["shop/web:1.0"]] == ["app.py"]
    (weakness,) = found(make_topology(system))
    assert "asks for /readyz, which calls client.ping() in app.py:7" in weakness.evidence
    assert weakness.certainty is Certainty.GUESSED
