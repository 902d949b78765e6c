"""What is written to the kernel's interfaces of control groups, of which a machine has but one."""

from pathlib import Path

import pytest

from flametest.sandbox import controlgroups
from flametest.sandbox.cgroupfs import ControlGroups, Limits

MEBIBYTE = 2**20


def text(folder: Path, name: str) -> str:
    return (folder / "one" / name).read_text()


def test_bounds_by_version_1_stand_in_a_folder_for_each_controller(tmp_path: Path) -> None:
    memory, cpu = tmp_path / "memory", tmp_path / "cpu"
    memory.mkdir()
    cpu.mkdir()
    group = ControlGroups(1, (memory, cpu)).add("one", Limits(64 * MEBIBYTE, 0.25))
    assert text(memory, "memory.limit_in_bytes") == text(memory, "memory.memsw.limit_in_bytes") == str(64 * MEBIBYTE)
    assert (text(cpu, "cpu.cfs_period_us"), text(cpu, "cpu.cfs_quota_us")) == ("100000", "25000")
    assert group.entries == (f"{memory}/one/cgroup.procs", f"{cpu}/one/cgroup.procs")


def test_bounds_by_version_2_stand_in_one_folder(tmp_path: Path) -> None:
    group = ControlGroups(2, (tmp_path, tmp_path)).add("one", Limits(64 * MEBIBYTE, 0.25))
    assert text(tmp_path, "memory.max") == str(64 * MEBIBYTE)
    assert (text(tmp_path, "memory.swap.max"), text(tmp_path, "memory.oom.group")) == ("0", "1")
    assert text(tmp_path, "cpu.max") == "25000 100000"
    assert group.entries == (f"{tmp_path}/one/cgroup.procs",)


@pytest.mark.parametrize(("version", "name"), [(1, "memory.oom_control"), (2, "memory.events")])
@pytest.mark.parametrize(("kills", "ran_out"), [(0, False), (1, True), (3, True)])
def test_a_kill_for_the_sake_of_memory_is_read(
    tmp_path: Path, version: int, name: str, kills: int, *, ran_out: bool
) -> None:
    group = ControlGroups(version, (tmp_path, tmp_path)).add("one", Limits(MEBIBYTE))
    assert not group.ran_out_of_memory()
    (tmp_path / "one" / name).write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n")
    assert group.ran_out_of_memory() is ran_out


@pytest.mark.parametrize(("cpus", "quota"), [(0.001, 1_000), (0.5, 50_000), (2.0, 200_000), (10_000.0, 10**9)])
def test_a_share_of_a_processor_is_a_part_of_each_period_and_never_less_than_the_kernel_takes(
    tmp_path: Path, cpus: float, quota: int
) -> None:
    ControlGroups(2, (tmp_path, tmp_path)).add("one", Limits(cpus=cpus))
    assert text(tmp_path, "cpu.max") == f"{quota} 100000"
    assert not (tmp_path / "one" / "memory.max").exists()


def test_containers_weigh_as_much_as_processes_without_a_group(tmp_path: Path) -> None:
    groups = ControlGroups(2, (tmp_path, tmp_path))
    for count, name in enumerate(("one", "two", "three"), start=1):
        groups.add(name, Limits(cpus=1.0))
        assert (tmp_path / "cpu.weight").read_text() == str(100 * count)


def test_nothing_is_removed_of_a_sandbox_that_had_none(tmp_path: Path) -> None:
    assert controlgroups.find(tmp_path) is None
    assert controlgroups.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []
