"""The script that runs a real Kubernetes: what it asks for, what it writes, and its machines, which are real ones."""

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.cluster import files, network
from scripts.cluster.init import EXPECTED
from scripts.cluster.machines import end_all, inside, is_running, process_of, start
from scripts.cluster.plan import PROGRAMS, ClusterError, Plan

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces with containers in them need root")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(tmp_path / "state", tmp_path / "programs", tmp_path / "images", 2)


@pytest.fixture
def machines(plan: Plan) -> Iterator[Plan]:
    plan.state.mkdir()
    try:
        start(plan, plan.control)
        network.make_bridge(plan)
        for node in plan.nodes:
            start(plan, node)
            network.plug_in(plan, node)
        yield plan
    finally:
        end_all(plan.state)


def test_each_worker_has_an_address_and_a_range_of_pod_addresses_of_its_own(plan: Plan) -> None:
    machines = (plan.control, *plan.nodes)
    assert [machine.name for machine in machines] == ["control", "node-1", "node-2"]
    assert len({machine.address for machine in machines} | {plan.host_address}) == 4
    assert len({node.pods for node in plan.nodes}) == 2
    assert not plan.control.is_worker


def test_missing_programs_and_images_are_named(plan: Plan) -> None:
    with pytest.raises(ClusterError, match=r"lacks containerd, .*, runc; remedy"):
        plan.check()
    plan.programs.mkdir()
    for name in PROGRAMS:
        (plan.programs / name).touch()
    with pytest.raises(ClusterError, match=r"no archives .*; remedy"):
        plan.check()
    plan.images.mkdir()
    (plan.images / "pause.tar").touch()
    plan.check()


def test_a_state_folder_that_machines_do_not_see_is_refused(plan: Plan) -> None:
    plan.programs.mkdir()
    plan.images.mkdir()
    for path in [*(plan.programs / name for name in PROGRAMS), plan.images / "pause.tar"]:
        path.touch()
    with pytest.raises(ClusterError, match="a /var/lib of their own"):
        Plan(Path("/var/lib/cluster"), plan.programs, plan.images, 2).check()


def test_files_of_a_worker_name_its_own_range_and_runtime(plan: Plan) -> None:
    node = plan.nodes[1]
    folder = plan.folder(node)
    folder.mkdir(parents=True)
    files.write_node_files(plan, node)
    network_file = json.loads((folder / "cni" / "10-bridge.conflist").read_text())
    assert network_file["plugins"][0]["ipam"]["ranges"] == [[{"subnet": node.pods}]]
    runtime = tomllib.loads((folder / "containerd.toml").read_text())
    kubelet = json.loads((folder / "kubelet.yaml").read_text())
    assert kubelet["containerRuntimeEndpoint"] == f"unix://{runtime['grpc']['address']}"
    kubeconfig = folder / "kubeconfig"
    assert json.loads(kubeconfig.read_text())["users"][0]["user"] == {"token": node.token}
    assert kubeconfig.stat().st_mode & 0o077 == 0


@needs_root
def test_machines_reach_one_another_and_change_nothing_outside(machines: Plan) -> None:
    first, second = machines.nodes
    connect = "import socket, sys; socket.create_connection((sys.argv[1], 8080), 5)"
    serve = "import socket; s = socket.create_server(('', 8080)); open('/run/open', 'w'); s.accept()"
    inside(machines, second, "sh", "-c", f'python3 -c "{serve}" >/dev/null 2>&1 &')
    inside(machines, second, "sh", "-c", "until [ -e /run/open ]; do sleep 0.05; done")
    inside(machines, first, "python3", "-c", connect, second.address)
    assert not Path("/run/open").exists()
    with pytest.raises(ClusterError, match="Read-only file system"):
        inside(machines, first, "sh", "-c", "echo 1 > /proc/sys/vm/swappiness")


@needs_root
def test_a_kubelet_finds_the_settings_that_it_insists_on_and_changes_those_of_nobody(machines: Plan) -> None:
    ours = {setting: Path("/proc/sys", setting).read_text() for setting in EXPECTED}
    for setting, value in EXPECTED.items():
        inside(machines, machines.nodes[0], "sh", "-c", f'[ "$(cat /proc/sys/{setting})" = {value} ]')
        inside(machines, machines.nodes[0], "sh", "-c", f"echo 7 > /proc/sys/{setting}")
    assert {setting: Path("/proc/sys", setting).read_text() for setting in EXPECTED} == ours


@needs_root
def test_what_runs_in_a_machine_ends_with_it(machines: Plan) -> None:
    node = machines.nodes[0]
    inside(machines, node, "sh", "-c", "trap '' TERM; sleep 600 >/dev/null 2>&1 &")
    left = [int(line) for line in _processes_in(process_of(machines, node))]
    assert len(left) > 1
    end_all(machines.state)
    assert not is_running(machines.state)
    assert not any(Path(f"/proc/{process}").exists() for process in left)
    with pytest.raises(ClusterError, match="node-1 does not run; remedy"):
        process_of(machines, node)


def _processes_in(first: int) -> Iterator[str]:
    """Processes of the process namespace whose first process is ``first``."""
    namespace = os.readlink(f"/proc/{first}/ns/pid")
    for found in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(found / "ns" / "pid") == namespace:
                yield found.name
        except OSError:
            continue
