"""Faults inside of containers: what their scripts find in this machine's own shell, and what they refuse."""

import copy
import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flametest.faults import cpu_hog as cpu_hog_module
from flametest.faults import frozen_process, inside
from flametest.faults import full_volume as full_volume_module
from flametest.faults import memory_hog as memory_hog_module
from flametest.faults.cpu_hog import CpuHog
from flametest.faults.errors import FaultError, HealError
from flametest.faults.frozen_process import FrozenProcess
from flametest.faults.full_volume import FullVolume
from flametest.faults.memory_hog import MemoryHog
from flametest.faults.selection import PodSelection
from flametest.kube.errors import ApiRejectedError
from flametest.kube.execute import Executed
from flametest.kube.resources import CLAIMS, PODS
from flametest.model.events import Target
from tests.faults.system import wait_until

NS = "flametest"
ANSWER_END = f"{inside._END}\n"


class Shell:
    """What answers the scripts of a container, one after another, in the order in which they are run."""

    def __init__(self, *answers: str | Executed | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[list[str]] = []

    def __call__(self, _: Any, pod: tuple[str, str], command: list[str], **options: Any) -> Executed:
        self.asked.append([*pod, *command[4:]])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Executed) else Executed(0, answer + ANSWER_END)


@pytest.fixture
def shell(client: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shell]:
    """Have containers run in the three pods, and put answers in the place of their shells."""
    for number in range(3):
        status = client.api.objects[PODS.path(NS, f"api-{number}")]["status"]
        status["containerStatuses"] = [{"name": "main", "containerID": f"c://{number}", "state": {"running": {}}}]
    monkeypatch.setattr(inside, "wait_for", lambda look, _: look())
    monkeypatch.setattr(frozen_process, "wait_for", lambda look, _: look())

    def answering(*answers: str | Executed | Exception) -> Shell:
        found = Shell(*answers)
        monkeypatch.setattr(inside, "execute", found)
        return found

    return answering


def fault(container: str = "") -> FrozenProcess:
    return FrozenProcess(PodSelection(NS, "app=api", at_random=False), container)


def recorded(client: Any, *containers: str) -> dict[str, Any]:
    one = fault(*containers)
    return one.record(client, one.targets(client))


def test_what_the_first_process_has_started_is_stopped_and_nothing_else(client: Any, shell: Any) -> None:
    # The eighth was executed by a probe, and started the ninth: neither descends from the first. The tenth is dead.
    look = "1 0 S\n7 1 S\n12 7 R\n8 0 S\n9 8 S\n10 1 Z\n"
    asked = shell(look, look, look, Executed(0, ""), look.replace("S\n12", "T\n12").replace("R", "T")).asked
    one = fault()
    targets = one.targets(client)
    state = one.record(client, targets)
    assert state["containers"][0]["by_signals"]
    one.inject(client, targets)
    assert [words[2:] for words in asked if "STOP" in words] == [["STOP", "7", "12"]]


def test_a_container_of_one_process_is_refused_outside_the_sandbox(client: Any, shell: Any) -> None:
    shell("1 0 S\n8 0 S\n")
    with pytest.raises(FaultError, match="consists of its first process, which the kernel lets nobody stop") as caught:
        recorded(client)
    assert "inject_edge" in caught.value.remedy


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("1 0 S\n7 1 T\n", "are already stopped"),
        (Executed(None, "", "no such file: sh"), "its image has no shell: no such file: sh"),
        (Executed(None, "", "container not found"), "cannot be entered: container not found"),
        (Executed(None, ""), "could not be asked: it gave no answer"),
        (Executed(0, "1 0 S\n7 1"), "could not be asked"),
        (Executed(1, ANSWER_END), "could not be asked"),
        (ApiRejectedError("x", code=500, told="container not found"), "cannot be entered: container not found"),
        (ApiRejectedError("x", code=400, told="container is waiting to start"), "cannot be entered: container is wait"),
    ],
)
def test_an_answer_that_is_none_is_refused(client: Any, shell: Any, answer: Any, told: str) -> None:
    shell(answer)
    with pytest.raises(FaultError, match=told):
        recorded(client)


def test_a_right_that_is_missing_is_no_container_that_does_not_run(client: Any, shell: Any) -> None:
    shell(ApiRejectedError("no right", code=403))
    with pytest.raises(ApiRejectedError, match="no right"):
        recorded(client)


def test_a_container_that_is_not_there_is_named(client: Any, shell: Any) -> None:
    shell()
    with pytest.raises(FaultError, match="pod api-0 has no container 'side'"):
        recorded(client, "side")


@pytest.fixture
def injected(client: Any, shell: Any) -> dict[str, Any]:
    shell("1 0 S\n7 1 S\n")
    return recorded(client)


def test_healing_continues_what_stands_still(client: Any, shell: Any, injected: dict[str, Any]) -> None:
    asked = shell("1 0 S\n7 1 T\n", Executed(0, ""), "1 0 S\n7 1 S\n").asked
    assert FrozenProcess.heal(client, injected) == "1 process of container main of pod api-0 runs again"
    assert asked[1][2:] == ["CONT", "7"]
    shell("1 0 S\n7 1 S\n")
    assert FrozenProcess.heal(client, injected) == "no process of container main of pod api-0 stands still"


def test_what_stays_stopped_or_does_not_answer_is_not_healed(client: Any, shell: Any, injected: Any) -> None:
    still = "1 0 S\n7 1 T\n"
    for answers in ([still, Executed(0, ""), still], [Executed(None, "")], [ApiRejectedError("no", code=500)]):
        shell(*answers)
        with pytest.raises(HealError, match="container main of pod api-0 could not be healed"):
            FrozenProcess.heal(client, copy.deepcopy(injected))
    shell(ApiRejectedError("forbidden", code=403))
    with pytest.raises(ApiRejectedError):
        FrozenProcess.heal(client, injected)


def test_what_was_restarted_or_is_gone_needs_no_healing(client: Any, shell: Any, injected: Any) -> None:
    shell()
    pod = client.api.objects[PODS.path(NS, "api-0")]
    pod["status"]["containerStatuses"][0]["containerID"] = "c://another"
    assert "was restarted: nothing is left to heal" in FrozenProcess.heal(client, injected)
    pod["metadata"]["uid"] = "another"
    assert "was recreated by somebody else" in FrozenProcess.heal(client, injected)
    del client.api.objects[PODS.path(NS, "api-0")]
    assert "pod api-0 is gone" in FrozenProcess.heal(client, injected)


def limited(client: Any, **limits: str) -> None:
    """Give the containers of all pods limits, and a restart count."""
    for number in range(3):
        pod = client.api.objects[PODS.path(NS, f"api-{number}")]
        pod["spec"]["containers"][0]["resources"] = {"limits": limits}
        pod["status"]["containerStatuses"][0]["restartCount"] = 1


def memory_hog() -> MemoryHog:
    return MemoryHog(PodSelection(NS, "app=api", at_random=False))


def test_a_memory_hog_takes_as_much_as_the_limit_and_no_more(client: Any, shell: Any) -> None:
    limited(client, memory="3Gi")
    asked = shell("dd\ncat\n", Executed(None, "")).asked
    one = memory_hog()
    targets = one.targets(client)
    assert one.record(client, targets) == {"api-0": 1}
    one.inject(client, targets)
    assert asked[-1][2:] == [str(3 * 2**30), "iflag=fullblock"]


def test_a_memory_hog_is_refused_where_nothing_bounds_it_or_can_take_it(client: Any, shell: Any) -> None:
    one = memory_hog()
    limited(client, cpu="1")
    shell()
    with pytest.raises(FaultError, match="has no limit of memory, so that it would take that of its node"):
        one.record(client, one.targets(client))
    limited(client, memory="64Mi")
    shell("cat\n")
    with pytest.raises(FaultError, match="its image has no dd"):
        one.record(client, one.targets(client))
    shell(Executed(0, "1+0 records in\nall-of-it-was-taken\n"))
    with pytest.raises(FaultError, match="limits of memory are not enforced here"):
        one.inject(client, one.targets(client))


def test_a_memory_hog_is_proved_by_the_reason_of_the_end_and_a_restart(
    client: Any, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_hog_module, "wait_for", lambda look, _: look())
    limited(client, memory="64Mi")
    shell()
    one = memory_hog()
    targets = one.targets(client)
    status = client.api.objects[PODS.path(NS, "api-0")]["status"]["containerStatuses"][0]
    for count, reason, proved in ((1, "OOMKilled", False), (2, "Error", False), (2, "OOMKilled", True)):
        status |= {"restartCount": count, "lastState": {"terminated": {"reason": reason}}}
        assert one.prove(client, targets, {"api-0": 1}).proved is proved


def cpu_hog(**options: Any) -> CpuHog:
    return CpuHog(PodSelection(NS, "app=api", at_random=False), **options)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"processes": 0}, "ask for 1 to 16"), ({"processes": 17}, "1 to 16"), ({"seconds_max": 1e4}, "1 to 600 seconds")],
)
def test_a_cpu_hog_is_bounded_in_number_and_time(client: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(FaultError) as caught:
        cpu_hog(**options).targets(client)
    assert told in caught.value.remedy


def test_a_cpu_hog_is_proved_by_the_processor_time_of_each_process(
    client: Any, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_hog_module, "wait_for", lambda look, _: look())
    one = cpu_hog()
    targets = one.targets(client)
    shell("")
    state = one.record(client, targets)
    for seen, proved in (("50\n60\n", True), ("50\n", False), ("50\n3\n", False), (Executed(None, ""), False)):
        shell(seen)
        assert one.prove(client, targets, state).proved is proved


class Container:
    """This machine's shell, to which the processes of a test are all that there are."""

    def __init__(self, folder: Path) -> None:
        self._proc = folder / "proc"
        self._proc.mkdir()
        self._clock = self._proc / "uptime"
        self._clock.symlink_to("/proc/uptime")

    def show(self, process: "subprocess.Popen[str]") -> None:
        """Have the scripts see a process."""
        (self._proc / str(process.pid)).symlink_to(f"/proc/{process.pid}")

    def run(self, script: str, *arguments: str) -> list[list[str]]:
        """Run a script, and return the words of its lines."""
        command = ["sh", "-c", self._seen(script), "sh", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [line.split() for line in done.stdout.splitlines()]

    @contextmanager
    def held(self, key: str, script: str, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
        """Start a script as it is started in a container, and wait until it has begun."""
        command = ["sh", "-c", f": {inside.mark(key)}\n{script}", "sh", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                self.show(process)
                yield process
            finally:
                process.kill()

    def end(self, key: str, file: str = "") -> list[list[str]]:
        """End what bears a mark, and return the processes that were found."""
        return self.run(inside._END_ALL, inside._MARK, key, file)

    def _seen(self, script: str) -> str:
        return script.replace("/proc/", f"{self._proc}/")


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def test_the_script_that_looks_tells_parents_and_states_of_real_processes(container: Container) -> None:
    with subprocess.Popen(["sleep", "60"], text=True) as child:
        try:
            container.show(child)
            ((number, parent, state),) = container.run(frozen_process._LOOK)
            assert (number, parent) == (str(child.pid), str(os.getpid()))
            assert state in "RSD"
            container.run(frozen_process._SIGNAL, "STOP", number)
            assert os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT) is not None
            assert container.run(frozen_process._LOOK)[0][2] == "T"
        finally:
            child.kill()


def test_busy_processes_use_processor_time_and_are_ended_by_their_mark(container: Container) -> None:
    key = secrets.token_hex(6)
    with container.held(key, cpu_hog_module._BUSY, "60") as process:
        while (told := container.run(cpu_hog_module._TICKS, inside._MARK, key)) == [["0"]]:
            pass
        assert int(told[0][0]) > 0
        assert container.end(secrets.token_hex(6)) == []
        assert container.end(key) == [[str(process.pid)]]
        assert process.wait() == -signal.SIGKILL
    assert container.end(key) == []


def test_a_busy_process_ends_by_itself(container: Container) -> None:
    with container.held(secrets.token_hex(6), cpu_hog_module._BUSY, "1") as process:
        # By the clock, or by the processor time that it may use.
        assert process.wait(60) in (0, -signal.SIGXCPU, -signal.SIGKILL)


def test_what_is_not_found_at_the_first_look_is_looked_for_again(
    client: Any, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process bears no mark in the moment in which it becomes another program."""

    def until_told(look: Callable[[], str | None], _: float) -> str | None:
        return next((told for told in (look() for _ in range(9)) if told is not None), None)

    uid = client.api.objects[PODS.path(NS, "api-0")]["metadata"]["uid"]
    where = inside.inside_of(client, Target("Pod", NS, "api-0", uid), "main")[0]
    monkeypatch.setattr(inside, "wait_for", until_told)
    none, one = ("0 processes", "were"), ("1 process", "was")
    for answers, (counted, verb) in ((["", ""], none), (["", "17\n", ""], one), (["17\n", ""], one)):
        asked = shell(*answers)
        assert inside.end(client, where, "key") == f"{counted} in container main of pod api-0 {verb} ended"
        assert asked.answers == []


def test_a_file_without_a_name_takes_room_until_its_process_ends(container: Container, tmp_path: Path) -> None:
    key, volume, size = secrets.token_hex(6), tmp_path / "volume", 8 * 1024 * 1024
    volume.mkdir()
    with container.held(key, full_volume_module._FILL, str(volume), str(size), "60", inside.mark(key)) as process:
        assert list(volume.iterdir()) == []
        assert os.stat(f"/proc/{process.pid}/fd/3").st_size == size
        program = Path(f"/proc/{process.pid}/comm")
        wait_until(lambda: program.read_text() == "sleep\n", 60)  # while it becomes that, it bears no mark
        (volume / "left").touch()  # by a process that was killed before it could take the name away
        assert container.end(key, str(volume / "left")) == [[str(process.pid)]]
        assert process.wait() == -signal.SIGKILL
    assert list(volume.iterdir()) == []


def full_volume(volume: str = "data", leave_bytes: int = 0) -> FullVolume:
    return FullVolume(PodSelection(NS, "app=api", at_random=False), volume, leave_bytes)


def mounted(client: Any, **source: Any) -> None:
    """Give the first pod a volume."""
    pod = client.api.objects[PODS.path(NS, "api-0")]
    pod["spec"]["volumes"] = [{"name": "data", **source}]
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data/"}]


def room(kibibytes: int, free: int, mounted: str = "/data") -> str:
    head = "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
    return f"{head}/dev/loop3 {kibibytes} 1 {free} 1% {mounted}\n"


def claimed(client: Any, storage: str = "64Mi") -> None:
    client.api.put(CLAIMS, {"metadata": {"name": "c"}, "status": {"capacity": {"storage": storage}}})
    mounted(client, persistentVolumeClaim={"claimName": "c"})


def test_a_volume_with_a_file_system_of_its_own_is_filled_but_for_what_is_to_be_left(
    client: Any, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed(client)
    shell(room(60_000, 50_000), room(60_000, 50_000))
    asked: list[Any] = []
    monkeypatch.setattr(full_volume_module, "hold", lambda *given: asked.append(given[4:]))
    one = full_volume(leave_bytes=1024)
    targets = one.targets(client)
    state = one.record(client, targets)
    assert (state["containers"][0]["path"], state["key"]) == ("/data", one.key)
    one.inject(client, targets)
    assert asked == [("/data", str(50_000 * 1024 - 1024), "120", inside.mark(one.key))]


@pytest.mark.parametrize(
    ("source", "answer", "told"),
    [
        ({"emptyDir": {}}, "", "has no size of its own: filling it would fill the disk of its node"),
        ({"hostPath": {"path": "/"}}, "", "has no size of its own"),
        ({"emptyDir": {"medium": "Memory"}}, "", "has no size of its own"),
        ({"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}, "", "would run out of its own before"),
        ("claim", room(200_000_000, 1_000_000), "filling it would fill the disk of its node"),
        ("claim", room(60_000, 50_000, "/"), "filling it would fill the disk of its node"),
        ("claim", room(60_000, 1), "bytes are free on volume data of pod api-0, and 2048 are to be left"),
        ("claim", "missing sleep\n", "its image has no sleep"),
    ],
)
def test_a_volume_that_would_fill_more_than_itself_is_refused(
    client: Any, shell: Any, source: Any, answer: str, told: str
) -> None:
    limited(client, memory="32Mi")
    if source == "claim":
        claimed(client)
    else:
        mounted(client, **source)
    shell(answer)
    one = full_volume(leave_bytes=2048)
    with pytest.raises(FaultError, match=told):
        one.record(client, one.targets(client))


def test_a_volume_that_is_not_mounted_to_be_written_is_named(client: Any, shell: Any) -> None:
    claimed(client)
    shell()
    one = full_volume("date")
    with pytest.raises(FaultError, match="mounts no volume 'date' to write to") as caught:
        one.record(client, one.targets(client))
    assert caught.value.remedy == "its volumes: data"
