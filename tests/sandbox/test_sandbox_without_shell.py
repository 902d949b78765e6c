"""An image that has its program and nothing else: what exec, probes, hooks, kubectl cp and faults make of it."""

from pathlib import Path
from typing import Any

import pytest

from flametest.faults.container_crash import ContainerCrash
from flametest.faults.errors import FaultError
from flametest.faults.selection import PodSelection
from flametest.kube import connect
from flametest.kube.execute import execute
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import load_archive
from flametest.sandbox.launch import Sandbox, SandboxOptions, image_store
from tests.images.building import BASE, TestImage, base_layer, write_docker_archive
from tests.sandbox.cluster_access import KUBECTL, Access
from tests.sandbox.conftest import Api
from tests.sandbox.image_pods import PODS, pod, state_of

pytestmark = pytest.mark.sandbox

MISSING = 'unable to start container process: exec: "sh": executable file not found in $PATH'


@pytest.fixture
def options(options: SandboxOptions, tmp_path: Path) -> SandboxOptions:
    """Return options for a sandbox whose store has an image of one program."""
    image = TestImage((base_layer(["sleep"]),), BASE)
    load_archive(
        ImageStore(image_store(options.home)), write_docker_archive(tmp_path / "sleep.tar", {"sleep:1": image})
    )
    return options


def test_what_it_does_not_have_is_told_as_a_kubelet_does(api: Api, sandbox: Sandbox) -> None:
    command = {"exec": {"command": ["sh", "-c", "true"]}}
    api(PODS, pod("main", "sleep:1"))
    api(PODS, pod("probed", "sleep:1", container={"readinessProbe": command | {"periodSeconds": 1}}))
    api(PODS, pod("hooked", "sleep:1", container={"lifecycle": {"postStart": command}}))
    api(PODS, pod("absent", "sleep:1", "sh", "-c", "true"))
    state_of(api, "main", lambda state: "running" in state)

    with connect(sandbox.kubeconfig, sandbox.context) as client:
        assert MISSING in execute(client.api, ("default", "main"), ["sh", "-c", "true"]).refusal
        assert execute(client.api, ("default", "main"), ["sleep", "0"]).code == 0
        said = execute(client.api, ("default", "main"), ["sleep", "soon"])
        assert (said.code, "invalid time interval" in said.output, said.refusal) == (1, True, "")
        crash = ContainerCrash(PodSelection("default", name_pattern="main"))
        with pytest.raises(FaultError, match="nothing in container main of pod main can send a signal") as raised:
            crash.inject(client, crash.targets(client))
        assert "terminate_pods" in raised.value.remedy

    told: dict[str, str] = {}

    def complete(listed: dict[str, list[dict[str, Any]]]) -> bool:
        told.update({one["involvedObject"]["name"]: str(one["message"]) for one in listed["items"] if warns(one)})
        return set(told) == {"probed", "hooked", "absent"}

    api.watch_until("/api/v1/namespaces/default/events", complete, seconds=60)
    assert told["probed"].startswith("Readiness probe errored and resulted in unknown state: failed to exec")
    assert MISSING in told["probed"]
    assert MISSING in told["hooked"]
    assert told["absent"] == 'Error: exec: "sh": executable file not found in $PATH'


def warns(event: dict[str, Any]) -> bool:
    return event["reason"] in ("Unhealthy", "FailedPostStartHook", "Failed")


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_kubectl_says_what_the_image_lacks(api: Api, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "true")
    api(PODS, pod("main", "sleep:1"))
    state_of(api, "main", lambda state: "running" in state)
    access = Access(sandbox)
    try:
        said = access.kubectl("exec", "main", "--", "sh", code=1)
        assert said.startswith("error: Internal error occurred: error executing command in container: ")
        assert MISSING in said
        assert MISSING in access.kubectl("exec", "-t", "main", "--", "sh", code=1)
        assert 'exec: "tar": executable file not found' in access.kubectl("cp", "main:/etc/passwd", "/dev/null", code=1)
    finally:
        access.close()
