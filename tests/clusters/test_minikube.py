"""The provider for Minikube against a double of the tool that knows its documented options.

Minikube itself runs on none of the machines that these tests run on: docs/minikube.md says what that leaves open.
"""

import json
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flametest.clusters import Cluster, ClusterError, ClusterOptions, provide
from flametest.clusters import minikube as provider
from flametest.clusters.minikube import KUBERNETES_VERSION
from tests.patience import PATIENCE_SECONDS

DOUBLE = Path(__file__).with_name("minikube_double.py")
IMAGES = {"flametest/api:0.1.0": "api/Dockerfile", "flametest/logic:0.1.0": "logic/Dockerfile"}

VERSIONS = ("1.37", "1.38", "1.39")


class Machine:
    """A machine with the double on its PATH, a user's own Minikube profile and kubeconfig, and a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.double = folder / "double"
        self.home = folder / "home"
        self.state = folder / "state"
        self.project = folder / "project"
        self.programs = folder / "programs"
        for path in (self.double, self.home / ".kube", self.project / "manifests", self.programs):
            path.mkdir(parents=True)
        self.set_up()
        self.profiles = {"minikube": {"nodes": 1, "images": [], "host": "Running"}}
        self.user_kubeconfig = self.home / ".kube" / "config"
        self.user_kubeconfig.write_text('{"current-context": "the-users-own", "clusters": [], "contexts": []}')
        script = self.programs / "minikube"
        script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", "-S", str(DOUBLE)])} "$@"\n')
        script.chmod(0o755)
        self._write_project()

    def _write_project(self) -> None:
        lines = []
        for name, dockerfile in IMAGES.items():
            path = self.project / "services" / dockerfile
            path.parent.mkdir(parents=True)
            path.write_text("FROM scratch\n")
            lines += ["[[image]]", f'name = "{name}"', 'context = "services"', f'dockerfile = "{dockerfile}"']
        (self.project / "manifests" / "images.toml").write_text("\n".join(lines))

    def set_up(self, **settings: Any) -> None:
        """Have the double behave so, see its `Settings`."""
        (self.double / "settings.json").write_text(json.dumps(settings))

    @property
    def profiles(self) -> dict[str, Any]:
        """What profiles there are."""
        content: dict[str, Any] = json.loads((self.double / "profiles.json").read_text())
        return content

    @profiles.setter
    def profiles(self, profiles: dict[str, Any]) -> None:
        (self.double / "profiles.json").write_text(json.dumps(profiles))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Return every call that was made."""
        path = self.double / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def commands(self) -> list[str]:
        """Return the commands that changed something, in their order."""
        return [
            call["command"] for call in self.calls if call["command"] not in {"status", "ip", "version", "image ls"}
        ]

    def forget_calls(self) -> None:
        """Begin to note calls again."""
        (self.double / "calls.jsonl").unlink(missing_ok=True)

    def options(self, **others: Any) -> ClusterOptions:
        """Return the options of a provider on this machine."""
        return replace(ClusterOptions(self.project / "manifests" / "images.toml", state=self.state), **others)

    def cluster(self, **others: Any) -> Cluster:
        """Return a provider on this machine, as the command line gets it."""
        return provide("minikube", self.options(**others))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setenv("PATH", f"{machine.programs}:/usr/bin:/bin")
    monkeypatch.setenv("MINIKUBE_DOUBLE", str(machine.double))
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.setenv("KUBECONFIG", str(machine.user_kubeconfig))
    monkeypatch.setenv("LANGUAGE", "fr")
    return machine


@pytest.fixture(autouse=True)
def _user_is_left_alone(machine: Machine) -> Iterator[None]:
    """Check after every test that the user's default profile, kubeconfig and context are as they were."""
    before = machine.user_kubeconfig.read_bytes()
    yield
    assert machine.user_kubeconfig.read_bytes() == before
    assert machine.profiles["minikube"] == {"nodes": 1, "images": [], "host": "Running"}
    for call in machine.calls:
        assert call["options"]["profile"] == "flametest"
        assert call["environment"]["KUBECONFIG"] == str(machine.state / "minikube" / "kubeconfig")
        assert call["environment"]["LANGUAGE"] is None, "French messages could not be told from one another"


@pytest.mark.parametrize("version", VERSIONS)
def test_up_starts_a_profile_builds_the_images_and_tells_the_entry(machine: Machine, version: str) -> None:
    machine.set_up(version=version)
    access = machine.cluster().up()
    assert (access.context, access.url, access.namespace) == ("flametest", "http://192.168.49.2:30080", "flametest")
    assert machine.commands() == ["start", "image build", "image build"]
    (start,) = (call["options"] for call in machine.calls if call["command"] == "start")
    assert start["kubernetes-version"] == KUBERNETES_VERSION
    assert (start["container-runtime"], start["cni"], start["nodes"]) == ("containerd", "calico", "1")
    assert start["wait-timeout"] == "15m", "less than the start's own limit of 20 minutes"
    assert "driver" not in start
    builds = [call for call in machine.calls if call["command"] == "image build"]
    assert {build["options"]["tag"]: build["options"]["file"] for build in builds} == IMAGES
    assert {tuple(build["operands"]) for build in builds} == {(str(machine.project / "services"),)}


@pytest.mark.parametrize("version", VERSIONS)
def test_up_starts_three_nodes_with_volumes_for_each_and_every_image_on_all(machine: Machine, version: str) -> None:
    machine.set_up(version=version)
    machine.cluster(nodes=3, driver="docker").up()
    assert machine.profiles["flametest"]["nodes"] == 3
    (start,) = (call["options"] for call in machine.calls if call["command"] == "start")
    assert start["driver"] == "docker"
    assert machine.profiles["flametest"]["addons"] == ["storage-provisioner-rancher"]
    assert "ports" not in start, "of several nodes only one could have the port"
    assert all(call["options"]["all"] == "true" for call in machine.calls if call["command"] == "image build")


def test_the_kubeconfig_is_a_file_of_its_own_that_only_its_owner_reads(machine: Machine) -> None:
    access = machine.cluster().up()
    assert access.kubeconfig == machine.state / "minikube" / "kubeconfig"
    assert stat.S_IMODE(access.kubeconfig.stat().st_mode) == 0o600
    assert stat.S_IMODE(access.kubeconfig.parent.stat().st_mode) == 0o700
    content = json.loads(access.kubeconfig.read_text())
    assert content["current-context"] == "flametest"
    assert content["contexts"][0]["context"]["namespace"] == "flametest"


def test_a_profile_that_runs_is_found_again_and_nothing_is_started_or_built(machine: Machine) -> None:
    access = machine.cluster().up()
    machine.forget_calls()
    assert machine.cluster().find() == access
    assert machine.cluster().up() == access
    assert machine.cluster(nodes=1).up() == access
    assert machine.commands() == []


def test_a_change_in_a_build_context_has_the_image_built_again(machine: Machine) -> None:
    machine.cluster().up()
    machine.forget_calls()
    (machine.project / "services" / "api" / "__pycache__").mkdir()
    (machine.project / "services" / "api" / "__pycache__" / "main.pyc").write_text("of a service that ran here")
    machine.cluster().up()
    assert machine.commands() == []
    (machine.project / "services" / "api" / "main.py").write_text("changed = True\n")
    machine.cluster().up()
    assert machine.commands() == ["image build", "image build"]


def test_an_image_that_is_gone_from_the_nodes_is_built_again(machine: Machine) -> None:
    machine.cluster().up()
    profiles = machine.profiles
    profiles["flametest"]["images"].remove("docker.io/flametest/logic:0.1.0")
    machine.profiles = profiles
    machine.forget_calls()
    machine.cluster().up()
    assert [call["options"]["tag"] for call in machine.calls if call["command"] == "image build"] == [
        "flametest/logic:0.1.0"
    ]


def test_ready_images_are_loaded_from_archives_folders_and_docker_and_none_is_built(machine: Machine) -> None:
    folder = machine.folder / "archives"
    folder.mkdir()
    (folder / "api.tar").write_text("flametest/api:0.1.0")
    machine.set_up(docker_images=["flametest/logic:0.1.0"])
    machine.cluster(images=(str(folder), "flametest/logic:0.1.0")).up()
    assert machine.commands() == ["start", "image load", "image load"]
    machine.forget_calls()
    machine.cluster().up()
    assert machine.commands() == [], "what was loaded stays, until the profile goes"


def test_down_stops_the_profile_and_up_starts_it_again_with_its_images(machine: Machine) -> None:
    cluster = machine.cluster()
    cluster.up()
    assert cluster.down()
    assert machine.profiles["flametest"]["host"] == "Stopped"
    assert cluster.find() is None
    assert not cluster.down(), "it does not run any more"
    machine.forget_calls()
    assert cluster.up().url == "http://192.168.49.2:30080"
    assert machine.commands() == ["start"]


def test_a_profile_that_exists_keeps_its_network_and_its_kubernetes(machine: Machine) -> None:
    machine.cluster().up()
    machine.cluster().down()
    machine.forget_calls()
    machine.cluster().up()
    (start,) = (call["options"] for call in machine.calls if call["command"] == "start")
    assert start.keys().isdisjoint({"kubernetes-version", "cni"}), "another version would be a change, or be refused"


@pytest.mark.parametrize(
    ("variable", "value", "left_out", "left"),
    [
        ("MINIKUBE_CNI", "kindnet", "cni", "kubernetes-version"),
        ("MINIKUBE_KUBERNETES_VERSION", "v1.36.2", "kubernetes-version", "cni"),
    ],
)
def test_what_the_user_told_minikube_by_a_variable_is_not_overruled_by_an_option(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, *, variable: str, value: str, left_out: str, left: str
) -> None:
    monkeypatch.setenv(variable, value)
    machine.cluster().up()
    (call,) = (call for call in machine.calls if call["command"] == "start")
    assert call["environment"][variable] == value
    assert left_out not in call["options"]
    assert left in call["options"]


def test_down_with_delete_removes_the_profile_and_all_records_but_the_log(machine: Machine) -> None:
    machine.cluster().up()
    assert machine.cluster(delete=True).down()
    assert list(machine.profiles) == ["minikube"]
    assert [path.name for path in (machine.state / "minikube").iterdir()] == ["minikube.log"]
    assert not machine.cluster(delete=True).down()


def test_a_fault_counts_as_gone_with_the_profile_and_not_when_it_is_only_stopped(machine: Machine) -> None:
    cluster = machine.cluster()
    kubeconfig = str(cluster.up().kubeconfig)
    assert not cluster.has_ended(kubeconfig)
    cluster.down()
    assert not cluster.has_ended(kubeconfig)
    assert not cluster.has_ended(str(machine.user_kubeconfig))
    machine.cluster(delete=True).down()
    assert cluster.has_ended(kubeconfig)


def test_a_profile_that_somebody_removed_by_hand_is_made_anew(machine: Machine) -> None:
    cluster = machine.cluster()
    kubeconfig = str(cluster.up().kubeconfig)
    machine.profiles = {name: one for name, one in machine.profiles.items() if name != "flametest"}
    assert cluster.find() is None
    assert cluster.has_ended(kubeconfig)
    cluster.up()
    assert machine.profiles["flametest"]["host"] == "Running"


def test_a_lost_kubeconfig_is_written_again(machine: Machine) -> None:
    access = machine.cluster().up()
    access.kubeconfig.unlink()
    assert machine.cluster().find() is None
    assert machine.cluster().up() == access


def test_a_profile_of_that_name_that_is_not_ours_is_left_alone(machine: Machine) -> None:
    machine.profiles = machine.profiles | {"flametest": {"nodes": 1, "images": [], "host": "Running"}}
    with pytest.raises(ClusterError, match="was not made from here") as raised:
        machine.cluster().up()
    assert "minikube delete -p flametest" in raised.value.remedy
    assert machine.cluster().find() is None
    assert not machine.cluster(delete=True).down()
    assert machine.commands() == []


def test_another_number_of_nodes_than_the_profile_has_is_refused(machine: Machine) -> None:
    machine.cluster(nodes=3).up()
    with pytest.raises(ClusterError, match="has 3 nodes, and 1 were asked for") as raised:
        machine.cluster(nodes=1).up()
    assert "--delete" in raised.value.remedy
    with pytest.raises(ClusterError, match="expected 1 to 10"):
        machine.cluster(nodes=0).up()


def test_where_node_addresses_cannot_be_reached_the_published_port_is_the_entry(machine: Machine) -> None:
    machine.set_up(is_forwarded=True)
    access = machine.cluster().up()
    (start,) = (call["options"] for call in machine.calls if call["command"] == "start")
    address, port, node_port = start["ports"].split(":")
    assert (address, node_port) == ("127.0.0.1", "30080")
    assert access.url == f"http://127.0.0.1:{port}"
    assert machine.cluster().find() == access


def test_several_nodes_whose_addresses_cannot_be_reached_are_refused_and_stopped(machine: Machine) -> None:
    machine.set_up(is_forwarded=True)
    with pytest.raises(ClusterError, match="cannot be reached from this machine") as raised:
        machine.cluster(nodes=3).up()
    assert "one node" in raised.value.remedy
    assert machine.profiles["flametest"]["host"] == "Stopped"


def test_without_minikube_nothing_is_found_and_up_says_what_to_install(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(machine.double))
    assert machine.cluster().find() is None
    assert not machine.cluster().down()
    with pytest.raises(ClusterError, match="minikube is not on the PATH") as raised:
        machine.cluster().up()
    assert "--cluster sandbox" in raised.value.remedy


def test_an_old_minikube_is_refused(machine: Machine) -> None:
    machine.set_up(version="1.36")
    with pytest.raises(ClusterError, match=r"Minikube 1.36 is older than 1.37"):
        machine.cluster().up()
    assert machine.commands() == []


def test_a_start_that_fails_is_explained_and_leaves_nothing(machine: Machine) -> None:
    line = "X Exiting due to RSRC_INSUFFICIENT_SYS_MEMORY: System only has 900MiB available"
    machine.set_up(failures={"start": (23, line)})
    with pytest.raises(ClusterError, match="`minikube start` failed: there is not enough memory") as raised:
        machine.cluster().up()
    assert "fewer --nodes" in raised.value.remedy
    assert line in (machine.state / "minikube" / "minikube.log").read_text()
    assert machine.commands() == ["start", "delete"]
    assert list(machine.profiles) == ["minikube"]


def test_a_failure_without_a_name_is_told_by_its_last_line(machine: Machine) -> None:
    machine.set_up(failures={"start": (1, "panic: runtime error\n")})
    with pytest.raises(ClusterError, match="`minikube start` ended with exit code 1: panic: runtime error") as raised:
        machine.cluster().up()
    assert "minikube.log" in raised.value.remedy


def test_a_stopped_profile_that_does_not_start_again_is_kept(machine: Machine) -> None:
    machine.cluster().up()
    machine.cluster().down()
    machine.set_up(failures={"start": (23, "X Exiting due to RSRC_INSUFFICIENT_SYS_MEMORY: only 900MiB")})
    with pytest.raises(ClusterError, match="not enough memory"):
        machine.cluster().up()
    assert machine.profiles["flametest"]["host"] == "Stopped"


def test_a_profile_whose_machines_are_gone_is_called_broken_until_it_is_deleted(machine: Machine) -> None:
    machine.cluster().up()
    profiles = machine.profiles
    profiles["flametest"]["host"] = "Nonexistent"
    machine.profiles = profiles
    for call in (machine.cluster().up, machine.cluster().down):
        with pytest.raises(ClusterError, match="is broken: its machines are gone") as raised:
            call()
        assert "flametest down --cluster minikube --delete" in raised.value.remedy
    assert machine.cluster(delete=True).down()
    assert machine.cluster().up().context == "flametest"


def test_a_build_that_failed_is_noticed_although_minikube_reports_success(machine: Machine) -> None:
    machine.set_up(broken_builds=["flametest/logic:0.1.0"])
    with pytest.raises(
        ClusterError, match=r"flametest/logic:0.1.0 could not be built on flametest from .*logic"
    ) as raised:
        machine.cluster().up()
    assert "base image" in raised.value.remedy
    assert machine.profiles["flametest"]["host"] == "Stopped"


def test_a_build_that_failed_on_one_node_of_three_names_the_node(machine: Machine) -> None:
    machine.set_up(failing_nodes=["flametest-m03"])
    with pytest.raises(ClusterError, match="could not be built on flametest-m03"):
        machine.cluster(nodes=3).up()


def test_a_build_that_failed_leaves_a_profile_running_that_ran_before(machine: Machine) -> None:
    machine.cluster().up()
    (machine.project / "services" / "api" / "main.py").write_text("syntax error")
    machine.set_up(broken_builds=["flametest/api:0.1.0"])
    with pytest.raises(ClusterError, match="could not be built"):
        machine.cluster().up()
    assert machine.profiles["flametest"]["host"] == "Running"


def test_an_image_that_cannot_be_loaded_or_is_missing_is_named(machine: Machine) -> None:
    with pytest.raises(ClusterError, match="an image could not be loaded") as raised:
        machine.cluster(images=("flametest/nowhere:1",)).up()
    assert "docker image ls" in raised.value.remedy
    machine.set_up(docker_images=["flametest/api:0.1.0"])
    with pytest.raises(ClusterError, match=r"not among those of --images: flametest/logic:0.1.0$"):
        machine.cluster(images=("flametest/api:0.1.0",)).up()


def test_a_missing_dockerfile_is_named_before_anything_is_started(machine: Machine) -> None:
    (machine.project / "services" / "api" / "Dockerfile").unlink()
    with pytest.raises(ClusterError, match=r"flametest/api:0.1.0: .*api/Dockerfile is no file"):
        machine.cluster().up()
    assert machine.calls == []


def test_a_call_that_takes_too_long_is_ended_and_explained(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.set_up(hangs="start")
    monkeypatch.setattr(provider, "_START_SECONDS_MAX", 1.0)
    with pytest.raises(ClusterError, match="`minikube start` was not done after 1 s and has been ended") as raised:
        machine.cluster().up()
    assert "minikube.log" in raised.value.remedy
    assert "Pulling base image" in (machine.state / "minikube" / "minikube.log").read_text()
    assert not running_doubles(machine)
    assert machine.commands() == ["start", "delete"]


def test_an_interruption_ends_the_call_and_what_it_has_started(machine: Machine) -> None:
    machine.set_up(hangs="start")
    command = "from flametest.clusters.minikube import MinikubeCluster as M; from flametest.clusters import *; "
    command += "from pathlib import Path; import sys; "
    command += "M(ClusterOptions(Path(sys.argv[1]), state=Path(sys.argv[2]))).up()"
    images_file, state = machine.options().images_file, machine.state
    with subprocess.Popen([sys.executable, "-c", command, str(images_file), state], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (machine.double / "hangs").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline, "the start did not begin"
            time.sleep(0.02)
        process.send_signal(2)
        assert process.stderr is not None
        assert b"KeyboardInterrupt" in process.stderr.read()
    assert not running_doubles(machine)
    assert machine.commands() == ["start", "delete"]


def test_the_log_keeps_what_every_call_said_and_stays_bounded(machine: Machine) -> None:
    machine.cluster().up()
    log = machine.state / "minikube" / "minikube.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "minikube start --container-runtime" in log.read_text()
    assert "Done! kubectl is now configured" in log.read_text()
    log.write_text("x" * 5_000_000)
    machine.cluster().up()
    assert log.stat().st_size < 100_000
    assert log.with_suffix(".log.1").stat().st_size == 5_000_000


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["start", "--preload-source=github"], "unknown flag: --preload-source"),
        (["start", "--cni=weave"], 'invalid argument "weave"'),
        (["start", "--nodes"], "needs an argument"),
        (["start", "--ports=127.0.0.1::30080"], "MK_USAGE"),
        (["start", "--kubernetes-version=v1.36.2"], "K8S_NEW_UNSUPPORTED"),
        (["image", "build", "--target=x", "."], "unknown flag: --target"),
        (["begin"], "unknown command"),
    ],
)
def test_the_double_refuses_what_the_documentation_does_not_name(
    machine: Machine, arguments: list[str], complaint: str
) -> None:
    machine.set_up(version="1.37")
    call = subprocess.run(["minikube", "--profile=flametest", *arguments], capture_output=True, text=True, check=False)
    machine.forget_calls()
    assert call.returncode != 0
    assert complaint in call.stderr


def running_doubles(machine: Machine) -> list[str]:
    """Return the ids of processes that belong to this machine's double."""
    mark = f"MINIKUBE_DOUBLE={machine.double}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if mark in environment.split(b"\0") and str(DOUBLE).encode() in command:
            found.append(process.name)
    return found
