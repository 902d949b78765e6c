"""What the provider for Minikube makes of the tool's words: failures, states of a profile, build contexts."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.clusters import ClusterError
from flametest.clusters.buildsources import read_sources
from flametest.clusters.minikube_failures import explain
from flametest.clusters.minikube_status import STATUS_CODES, ProfileState, read_status
from flametest.clusters.minikube_tool import Answer

LOG = Path("/state/minikube/minikube.log")
REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("line", "meaning", "remedy"),
    [
        ("DRV_NOT_DETECTED: No possible driver was detected.", "it has no driver", "install Docker"),
        ("PROVIDER_KVM2_NOT_FOUND: The 'kvm2' provider was not found", "it has no driver", "--driver"),
        ("DRV_UNSUPPORTED_OS: The driver 'hyperv' is not supported", "it has no driver", "--driver"),
        ("DRV_DOCKER_NOT_RUNNING: Found docker, but it isn't running", "driver does not work", "docker info"),
        ("PROVIDER_DOCKER_NEWGRP: permission denied", "driver does not work", "without sudo"),
        ('DRV_AS_ROOT: The "docker" driver should not be used with root', "do not go together", "ordinary user"),
        ("RSRC_INSUFFICIENT_SYS_MEMORY: System only has 900MiB", "not enough memory", "fewer --nodes"),
        ("RSRC_INSUFFICIENT_CONTAINER_MEMORY: docker only has 1GiB", "not enough memory", "give Docker more"),
        ("RSRC_KVM_OOM: cannot allocate memory", "not enough memory", "--cluster sandbox"),
        ("RSRC_INSUFFICIENT_CORES: has less than 2 CPUs", "not enough processors", "two or more"),
        ("RSRC_DOCKER_STORAGE: Docker is out of disk space!", "not enough disk space", "docker system prune"),
        ("GUEST_PROVISION_NOSPACE: no space left on device", "not enough disk space", "make room"),
        ("K8S_DOWNGRADE_UNSUPPORTED: Unable to downgrade", "made with other settings", "--delete"),
        ("GUEST_DRIVER_MISMATCH: created using kvm2", "made with other settings", "--delete"),
        ("K8S_NEW_UNSUPPORTED: not supported by this release", "version of Kubernetes", "newest Minikube"),
        ("INET_CACHE_BINARIES: Failed to cache binaries", "could not download", "HTTPS_PROXY"),
        ("GUEST_PORT_IN_USE: port is already allocated", "a port that it publishes is taken", "--delete"),
        ("GUEST_PROVISION: error provisioning guest", "profile is broken", "--delete"),
        ("HOST_CONFIG_LOAD: Error getting cluster config", "profile is broken", "--delete"),
        ("K8S_APISERVER_TIMEOUT: apiserver never came up", "not ready in time", "try again"),
        # As 1.38.1 said it on a machine with a load of 60 whose API server was healthy a second later.
        (
            "K8S_UNHEALTHY_CONTROL_PLANE: wait 6m0s for node: wait for healthy API server: "
            "controlPlane never updated to v1.36.2",
            "not ready in time",
            "less busy",
        ),
        (
            "GUEST_START: failed to start node: wait 6m0s for node: waiting for node to be ready",
            "not ready in time",
            "try again",
        ),
    ],
)
def test_every_kind_of_failure_is_explained_with_its_remedy(line: str, meaning: str, remedy: str) -> None:
    said = f"* minikube v1.38.1 on Debian\n! a warning\n\nX Exiting due to {line}\n* Suggestion: see the handbook\n"
    error = explain(("start", "--nodes=1"), 60, said, LOG)
    identifier, _, message = line.partition(": ")
    assert error.message.startswith("`minikube start` failed: ")
    assert meaning in error.message
    assert f"({identifier}: {message})" in error.message
    assert remedy in error.remedy
    assert str(LOG) in error.remedy


def test_a_failure_of_unknown_kind_is_told_in_the_words_of_the_tool() -> None:
    error = explain(("image", "load", "api.tar"), 10, "X Exiting due to MK_NEWLY_INVENTED: something else\n", LOG)
    assert error.message == "`minikube image load` failed: (MK_NEWLY_INVENTED: something else)"
    assert str(LOG) in error.remedy


@given(st.text(max_size=2000), st.integers(1, 255))
def test_whatever_the_tool_says_the_error_is_one_short_line(said: str, exit_code: int) -> None:
    error = explain(("start",), exit_code, said, LOG)
    assert len(error.message) < 600
    assert len(error.message.splitlines()) == 1
    assert error.remedy


def node(**others: str | bool) -> dict[str, str | bool]:
    """Return what the tool tells of a node that runs."""
    parts: dict[str, str | bool] = {
        "Name": "flametest",
        "Host": "Running",
        "Kubelet": "Running",
        "APIServer": "Running",
    }
    return parts | {"Kubeconfig": "Configured", "Worker": False} | others


@pytest.mark.parametrize(
    ("exit_code", "text", "state", "nodes"),
    [
        (0, json.dumps(node()), ProfileState.RUNNING, 1),
        (0, json.dumps([node(), node(Name="flametest-m02", Worker=True)]), ProfileState.RUNNING, 2),
        (7, json.dumps(node(Host="Stopped", Kubelet="Stopped", APIServer="Stopped")), ProfileState.RESTARTABLE, 1),
        (2, json.dumps(node(APIServer="Paused")), ProfileState.RESTARTABLE, 1),
        (4, json.dumps(node(Kubeconfig="Misconfigured")), ProfileState.RESTARTABLE, 1),
        (7, "null", ProfileState.BROKEN, 0),
        (7, "", ProfileState.BROKEN, 0),
        (85, '{"specversion":"1.0","type":"io.k8s.sigs.minikube.step"}', ProfileState.ABSENT, 0),
    ],
)
def test_the_state_of_a_profile_is_read_from_text_and_exit_code(
    exit_code: int, text: str, state: ProfileState, nodes: int
) -> None:
    assert exit_code in STATUS_CODES
    status = read_status(Answer(exit_code, text))
    assert (status.state, status.nodes) == (state, nodes)


def test_the_images_of_this_project_are_read_with_their_dockerfiles() -> None:
    sources = {source.name: source for source in read_sources(REPOSITORY / "manifests" / "images.toml")}
    assert sources["flametest/api:0.1.0"].dockerfile == "api/Dockerfile"
    assert sources["flametest/load:0.1.0"].dockerfile == "loadtests/Dockerfile"
    assert sources["flametest/api:0.1.0"].digest() != sources["flametest/logic:0.1.0"].digest()


@pytest.mark.parametrize("text", ["[[image]]", "image = 3", "not toml", "image = [3]"])
def test_an_images_file_that_cannot_be_used_is_an_error_that_says_what_is_needed(tmp_path: Path, text: str) -> None:
    file = tmp_path / "manifests" / "images.toml"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(ClusterError) as raised:
        read_sources(file)
    assert "context" in raised.value.remedy


def test_an_image_without_a_dockerfile_is_an_error_only_for_who_needs_it(tmp_path: Path) -> None:
    file = tmp_path / "manifests" / "images.toml"
    file.parent.mkdir()
    file.write_text("[[image]]\nname = 'a'\ncontext = 'nowhere'")
    (source,) = read_sources(file)
    assert not source.has_dockerfile
    with pytest.raises(ClusterError, match="nowhere/Dockerfile is no file") as raised:
        source.require_dockerfile()
    assert "context" in raised.value.remedy
