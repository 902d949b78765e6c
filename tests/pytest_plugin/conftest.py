"""Projects of users, whose tests are run by a pytest of their own."""

import pytest

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1.29
        ports: [{containerPort: 80}]
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
        lifecycle: {preStop: {exec: {command: [sleep, "1"]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
"""


@pytest.fixture(autouse=True)
def own_state(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each project a state folder of its own, and nothing of this run's own configuration."""
    monkeypatch.setenv("FLAMETEST_HOME", str(pytester.path / "state"))
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")


@pytest.fixture
def web(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a project with the manifests of a web server of two pods."""
    pytester.mkdir("manifests").joinpath("web.yaml").write_text(WEB)
    return pytester
