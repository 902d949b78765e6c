"""Systems as courses have them, written for these tests and deployed by `flametest up` just as they are.

None has an images.toml, a namespace or an address of its own. What their Dockerfiles install is taken from the test's
environment or from wheels that the test writes, since no test asks a package index.
"""

import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.addresses import own_address
from tests.end_to_end.conftest import environment_of
from tests.end_to_end.test_any_manifests import Machine
from tests.images.wheels import pip_settings, write_wheel
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

ADDRESS = own_address("course systems")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    folder = tmp_path / "cöurse work"
    (folder / ".git").mkdir(parents=True)
    wheels = tmp_path / "wheels"
    write_wheel(wheels, "courselib", "2.0")
    made = Machine(folder, environment_of(tmp_path / "home", ADDRESS) | pip_settings(wheels))
    yield made
    made.flametest("down", cwd=Path("/"))


def write(machine: Machine, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = machine.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def ask(path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(f"http://{ADDRESS}:30081{path}", method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def deployment(name: str, image: str, container: str = "", replicas: int = 1) -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
    spec:
      containers:
        - name: {name}
          image: {image}
          {container.strip()}
---
"""


def service(name: str, port: int, node_port: int = 0) -> str:
    kind, opened = ("NodePort", f", nodePort: {node_port}") if node_port else ("ClusterIP", "")
    return f"""\
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  type: {kind}
  selector:
    app: {name}
  ports:
    - {{port: {port}{opened}}}
---
"""


NOTES = {
    "api/Dockerfile": """\
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY main.py .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
""",
    "api/requirements.txt": "fastapi\nuvicorn\nredis\npsycopg[binary]\n",
    "api/main.py": """\
import os
import psycopg
import redis
from fastapi import FastAPI

app = FastAPI()
cache = redis.Redis(host=os.environ["CACHE"])

def run(statement, *values):
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        return connection.execute(statement, values)

@app.get("/health")
def health():
    return {"ok": True}

@app.post("/notes/{text}")
def add(text: str):
    run("CREATE TABLE IF NOT EXISTS notes (text text)")
    run("INSERT INTO notes VALUES (%s)", text)
    return {"added": cache.incr("added")}

@app.get("/notes")
def notes():
    return [row[0] for row in run("SELECT text FROM notes").fetchall()]
""",
    "k8s/app/api.yaml": deployment(
        "api",
        "notes-api:latest",
        """
          imagePullPolicy: Never
          ports: [{containerPort: 8000}]
          envFrom: [{configMapRef: {name: settings}}]
          env: [{name: DATABASE_URL, valueFrom: {secretKeyRef: {name: database, key: url}}}]
          readinessProbe: {httpGet: {path: /health, port: 8000}, periodSeconds: 1}
""",
        replicas=2,
    )
    + service("api", 8000)
    + """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: api}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: api}
  minReplicas: 2
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
""",
    "k8s/app/web.yaml": deployment(
        "web",
        "nginx:1.25-alpine",
        """
          ports: [{containerPort: 80}]
          volumeMounts: [{name: conf, mountPath: /etc/nginx/conf.d}]
      volumes: [{name: conf, configMap: {name: nginx}}]
""",
    )
    + service("web", 80, 30081)
    + """\
apiVersion: v1
kind: ConfigMap
metadata: {name: nginx}
data:
  default.conf: |
    server {
      listen 80;
      location / { proxy_pass http://api:8000; }
    }
""",
    "k8s/data/redis.yaml": deployment("redis", "redis:7-alpine") + service("redis", 6379),
    "k8s/data/postgres.yaml": """\
apiVersion: v1
kind: Secret
metadata: {name: database}
stringData: {password: secret, url: "postgresql://notes:secret@postgres:5432/notes"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {CACHE: redis}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: postgres}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
"""
    + deployment(
        "postgres",
        "postgres:16",
        """
          env:
            - {name: POSTGRES_USER, value: notes}
            - {name: POSTGRES_PASSWORD, valueFrom: {secretKeyRef: {name: database, key: password}}}
          readinessProbe: {exec: {command: [pg_isready, -h, localhost, -U, notes]}, periodSeconds: 1}
          volumeMounts: [{name: data, mountPath: /var/lib/postgresql/data, subPath: pgdata}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: postgres}}]
""",
    )
    + service("postgres", 5432),
    "docker-compose.yml": "services:\n  api: {build: ./api, ports: ['8000:8000']}\n",
    "README.md": "docker build -t notes-api api && kubectl apply -R -f k8s\n",
}


def test_an_api_with_redis_postgresql_and_nginx_starts_from_its_folder_of_manifests(machine: Machine) -> None:
    write(machine, NOTES)

    up = machine.flametest("up", "k8s/")

    assert up.returncode == 0, up.stdout + up.stderr
    said = up.stdout.splitlines()
    assert any(line.startswith("note: image notes-api:latest is made from api/Dockerfile") for line in said)
    assert "warning: HorizontalPodAutoscaler: no controller scales here" in said
    assert any(line.startswith("warning: Deployment web: the sandbox runs nginx ") for line in said)
    assert f"entry: http://{ADDRESS}:30081" in said
    assert ask("/notes/hello", "POST") == {"added": 1}
    assert ask("/notes") == ["hello"]


WORKER = """\
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
import redis
broker = redis.Redis(host="broker", decode_responses=True)
if sys.argv[1] == "worker":
    while True:
        _, job = broker.brpop("jobs")
        broker.hset("results", job, job.upper())

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.reply(broker.lpush("jobs", self.path.lstrip("/")))
    def do_GET(self):
        self.reply(broker.hgetall("results"))
    def reply(self, content):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())
HTTPServer(("", 5000), Handler).serve_forever()
"""
QUEUE = {
    "Dockerfile": """\
FROM python:3.12
ENV PYTHONUNBUFFERED=1
WORKDIR /srv
RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*
RUN pip install redis
COPY . .
CMD ["python", "queue.py", "front"]
""".replace("queue.py", "jobs.py"),
    "jobs.py": WORKER,
    "kubernetes/all.yml": deployment("broker", "redis")
    + service("broker", 6379)
    + deployment("front", "me/jobs")
    + service("front", 5000, 30081)
    + deployment("worker", "me/jobs", 'args: ["python", "jobs.py", "worker"]', replicas=2)
    + """\
apiVersion: batch/v1
kind: Job
metadata: {name: first}
spec:
  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - name: main
          image: me/jobs
          command: [python, -c, 'import redis; redis.Redis(host="broker").lpush("jobs", "seed")']
""",
}


@pytest.mark.exhaustive
def test_a_queue_with_workers_and_a_job_that_fills_it(machine: Machine) -> None:
    write(machine, QUEUE)
    up = machine.flametest("up", "kubernetes")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "Job first 1/1" in up.stdout
    assert "not followed: RUN apt-get install -y --no-install-recommends curl" in up.stdout
    ask("/hello", "POST")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (done := ask("/")) != {"seed": "SEED", "hello": "HELLO"}:
        assert time.monotonic() < deadline, done


TELLING = """\
import http.server, courselib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f'"{courselib.VERSION}"'.encode())
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""
PROJECT = '[project]\nname = "course"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["courselib"]\n'
LOCK = '[[package]]\nname = "courselib"\nversion = "2.0"\nsource = { registry = "x" }\n'
INSTALLS: dict[str, tuple[str, dict[str, str]]] = {
    "pip": ("RUN pip install 'courselib>=1'", {}),
    "pipenv": (
        "RUN pip install pipenv\nCOPY Pipfile ./\nRUN pipenv install --system --deploy",
        {"Pipfile": '[packages]\ncourselib = "*"\n'},
    ),
    "poetry": (
        "RUN pip install poetry\nCOPY pyproject.toml poetry.lock ./\n"
        "RUN poetry config virtualenvs.create false && poetry install --no-root",
        {
            "pyproject.toml": '[tool.poetry]\nname = "c"\nversion = "1"\n'
            '[tool.poetry.dependencies]\npython = "^3.11"\ncourselib = "^2.0"\n',
            "poetry.lock": LOCK,
        },
    ),
    "uv": (
        "COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/uv\nCOPY pyproject.toml uv.lock ./\nRUN uv sync --frozen",
        {"pyproject.toml": PROJECT, "uv.lock": LOCK},
    ),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("tool", INSTALLS)
def test_a_dockerfile_gets_its_packages_whatever_installs_them(machine: Machine, tool: str) -> None:
    install, files = INSTALLS[tool]
    runner = "uv run " if tool == "uv" else ""
    dockerfile = f"FROM python:3.11-slim\nWORKDIR /code\n{install}\nCOPY . .\nCMD {runner}python main.py\n"
    write(machine, files | {"Dockerfile": dockerfile, "main.py": TELLING})
    write(machine, {"deploy/k8s/app.yaml": deployment("app", "somebody/app:v1") + service("app", 8080, 30081)})
    up = machine.flametest("up", "deploy/k8s")
    assert up.returncode == 0, up.stdout + up.stderr
    assert ask("/") == "2.0"


@pytest.mark.exhaustive
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_a_kustomization_of_bases_and_generated_configuration(machine: Machine) -> None:
    base = "resources: [app.yaml]\nconfigMapGenerator: [{name: page, literals: [version=1]}]\n"
    over = "resources: [../../base]\nnamespace: staging\nimages: [{name: app, newName: me/course-app, newTag: v2}]\n"
    container = "envFrom: [{configMapRef: {name: page}}]"
    write(
        machine,
        {
            "app/Dockerfile": "FROM python:3.11\nRUN pip install courselib\nCOPY main.py /\nCMD python /main.py\n",
            "app/main.py": TELLING,
            "k8s/base/app.yaml": deployment("app", "app", container) + service("app", 8080, 30081),
            "k8s/base/kustomization.yaml": base,
            "k8s/overlays/staging/kustomization.yaml": over,
        },
    )
    up = machine.flametest("up", "-k", "k8s/overlays/staging")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "image me/course-app:v2 is made from app/Dockerfile" in up.stdout
    assert machine.objects("Deployment", "staging") == ["app"]
    assert ask("/") == "2.0"
