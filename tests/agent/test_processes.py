"""Containers as real processes: what they see, who they are, and that nothing of them is left."""

import asyncio
import contextlib
import json
import os
import pwd
import shlex
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.agent.logs import LogFile
from flametest.sandbox.agent.processes import ProcessRuntime
from flametest.sandbox.agent.runtime import ContainerOptions, PodSandbox, StartError
from flametest.sandbox.images.builtin.plain import python
from flametest.sandbox.images.image import Bind, Folder, Image, TextFile
from flametest.sandbox.podaccess import LogOptions

pytestmark = pytest.mark.sandbox

PATH = (("PATH", "/usr/local/bin:/usr/bin:/bin"),)
IMAGE = Image(
    "x",
    files=(TextFile("/usr/local/bin/hello", "#!/bin/sh\necho hello\n", 0o755), TextFile("/usr/share/web/page", "page")),
    folders=(Folder("/var/cache/web"), Folder("/data", 0o777, volatile=True)),
)
HOSTS = "127.0.0.1 localhost\n10.244.1.2 web-0\n"


class Pod:
    """A pod whose containers a test starts one by one."""

    def __init__(self, runtime: ProcessRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder
        self.count = 0
        self._others = set(descendants())  # servers that other tests of this process share

    def processes(self) -> list[str]:
        """Return the command lines of what was started since."""
        return [args for pid, args in descendants().items() if pid not in self._others]

    async def start(self, script: str, *, image: Image = IMAGE, **options: Any) -> ContainerOptions:
        if not self.count:
            sandbox = PodSandbox("uid", "web-0", str(self.folder), "", HOSTS, "nameserver 10.96.0.10\n")
            await self.runtime.prepare(sandbox)
        self.count += 1
        log = LogFile(str(self.folder / f"{self.count}.log"), time.time)
        arguments = options.pop("arguments", ("sh", "-c", script))
        container = ContainerOptions(
            id=str(self.count),
            pod_uid="uid",
            name="main",
            image=image,
            arguments=arguments,
            log=log,
            environment=PATH,
            **options,
        )
        await self.runtime.start(container)
        return container

    async def text(self, script: str, **options: Any) -> str:
        container = await self.start(script, **options)
        await self.runtime.wait(container.id)
        return b"".join([piece async for piece in container.log.read(LogOptions())]).decode()


def descendants() -> dict[str, str]:
    """Return the command line of each of this process's descendants, by pid."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    family = {str(os.getpid())}
    for pid, parent, _ in rows:
        if parent in family:
            family.add(pid)
    return {pid: args for pid, parent, args in rows if parent in family and not args.startswith("ps ")}


def strays_naming(folder: Path) -> list[str]:
    """Return the command lines of all processes of this machine that name a folder, whoever their parent is."""
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    return [args for args in listed.splitlines() if str(folder) in args]


def pipes_and_pidfds() -> list[str]:
    """Return what this process has open to talk to processes that it started, and to know of their end."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return sorted(link for link in links if link.startswith("pipe:") or "pidfd" in link)


def mounts(folder: Path) -> list[str]:
    """Return the mounts of this machine that are in ``folder``, or come from it; others come and go beside a test."""
    told = str(folder).replace(" ", "\\040")  # as proc_pid_mountinfo(5) has it
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if told in line]


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    (tmp_path / "pod").mkdir()
    made = Pod(ProcessRuntime(str(tmp_path / "runtime")), tmp_path / "pod")
    yield made
    assert made.processes() == []
    assert mounts(tmp_path) == []


async def test_the_command_is_process_1_under_the_pods_name_with_its_files(pod: Pod) -> None:
    text = await pod.text("echo $$; hostname; cat /etc/hosts /etc/resolv.conf; hello; cat /usr/share/web/page")
    assert text == f"1\nweb-0\n{HOSTS}nameserver 10.96.0.10\nhello\npage\n"
    await pod.runtime.remove("uid")


async def test_homes_state_and_configuration_of_the_machine_are_out_of_sight(pod: Pod, tmp_path: Path) -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir
    text = await pod.text(
        f"ls -A {home} /home /var/lib /usr/local {tmp_path} /etc/shadow 2>/dev/null; ls /proc | grep -c ^[0-9]"
    )
    shown = [line for line in text.splitlines() if line and not line.endswith(":")]
    assert shown[:-1] == ["bin"]
    assert int(shown[-1]) <= 4
    await pod.runtime.remove("uid")


@pytest.mark.parametrize("user", [0, 10001])
async def test_a_container_runs_as_its_user_and_may_write_where_it_should(pod: Pod, tmp_path: Path, user: int) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    mounts = (Bind(str(volume), "/mnt/deep/volume", read_only=False), Bind(str(volume), "/mnt/fixed"))
    text = await pod.text(
        "id -u; for place in /tmp /data /var/cache/web /mnt/deep/volume /mnt/fixed /usr/bin; do "
        "touch $place/file 2>/dev/null && echo $place; done",
        user=user,
        group=user,
        mounts=mounts,
    )
    assert text.split() == [str(user), "/tmp", "/data", "/var/cache/web", "/mnt/deep/volume"]
    assert (volume / "file").exists()
    await pod.runtime.remove("uid")


@pytest.mark.parametrize("name", ["tools", "flame test ü", 'it\'s $HOME; "x" %s'])
@pytest.mark.parametrize("read_only_root", [False, True])
@pytest.mark.parametrize("user", [0, 10001])
async def test_an_interpreter_below_tmp_is_seen_below_a_volume_too(
    pod: Pod, tmp_path: Path, name: str, user: int, read_only_root: bool
) -> None:
    tools, volume = tmp_path / name / "bin", tmp_path / "volume"
    tools.mkdir(parents=True)
    (tools / "run").write_text("#!/bin/sh\necho ran\n")
    (tools / "run").chmod(0o755)
    volume.mkdir(mode=0o777)
    volume.chmod(0o777)
    image = Image("x", binds=(Bind(str(tools.parent), str(tools.parent), stays=True), Bind(str(tools), "/tmp/hidden")))
    program = shlex.quote(str(tools / "run"))
    text = await pod.text(
        f"{program}; touch /tmp/mine && echo wrote; touch {program}-2 2>/dev/null || echo kept; ls /tmp/hidden 2>&1",
        image=image,
        mounts=(Bind(str(volume), "/tmp", read_only=False),),
        user=user,
        group=user,
        read_only_root=read_only_root,
    )
    assert text.splitlines()[:3] == ["ran", "wrote", "kept"]
    assert "No such file" in text
    assert (volume / "mine").exists()
    await pod.runtime.remove("uid")


@pytest.mark.parametrize("user", [0, 10001])
async def test_below_a_read_only_volume_there_is_what_is_mounted_there(pod: Pod, tmp_path: Path, user: int) -> None:
    tools, outer, inner, linked = (tmp_path / name for name in ("tools", "outer", "inner", "linked"))
    for folder in (tools, outer, inner, linked):
        folder.mkdir()
    for file in (tools / "run", inner / "key", outer / "own"):
        file.write_text(f"echo {file.name}\n")
    (outer / "link").symlink_to(linked)
    image = Image("x", binds=(Bind(str(tools), "/conf/deep/tools", stays=True),))
    mounts = (
        Bind(str(inner / "key"), "/conf/certs/key"),
        Bind(str(outer), "/conf"),
        Bind(str(inner), "/conf/certs/more", read_only=False),
    )
    text = await pod.text(
        "sh /conf/own; sh /conf/certs/key; sh /conf/certs/more/key; sh /conf/deep/tools/run; "
        "touch /conf/x || echo kept",
        image=image,
        mounts=mounts,
        user=user,
        group=user,
    )
    assert [line for line in text.splitlines() if "touch" not in line] == ["own", "key", "key", "run", "kept"]
    with pytest.raises(StartError):
        await pod.start("true", mounts=(Bind(str(outer), "/conf"), Bind(str(inner), "/conf/link/planted")))
    assert list(linked.iterdir()) == []
    await pod.runtime.remove("uid")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to somebody else")
@pytest.mark.parametrize(("owner", "owns_volumes", "reads"), [(999, False, True), (70, False, False), (70, True, True)])
async def test_files_that_were_given_to_its_user_are_the_containers_own(
    pod: Pod, tmp_path: Path, owner: int, owns_volumes: bool, reads: bool
) -> None:
    volume, elsewhere = tmp_path / "volume", tmp_path / "elsewhere"
    (volume / "sub").mkdir(parents=True)
    elsewhere.write_text("not in the volume")
    message = tmp_path / "message"
    message.touch()
    (volume / "sub" / "file").write_text("mine")
    (volume / "link").symlink_to(elsewhere)
    for path in (volume / "sub" / "file", volume / "sub", volume / "link", volume, elsewhere):
        os.chown(path, owner, owner, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o700)
    text = await pod.text(
        "cat /data/sub/file && touch /data/new && stat -c %u /data/sub/file /data/new",
        user=999,
        group=999,
        owns_volumes=owns_volumes,
        mounts=(Bind(str(volume), "/data", read_only=False), Bind(str(message), "/dev/message", read_only=False)),
    )
    assert (text == "mine999\n999\n") is reads
    assert elsewhere.stat().st_uid == owner
    await pod.runtime.remove("uid")


@pytest.mark.parametrize("name", ["flame test ü", 'it\'s $HOME; "x" %s'])
async def test_an_environment_in_a_folder_of_any_name_runs_python(
    pod: Pod, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, volume = tmp_path / name / "environment", tmp_path / "volume"
    venv.create(environment, symlinks=True)
    volume.mkdir()
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / "python"))
    monkeypatch.setattr(sys, "prefix", str(environment))
    image = python("3")
    assert image is not None
    arguments = ("python3", "-c", "import sys, json; print(json.dumps(sys.prefix))")
    mounts = (Bind(str(volume), "/tmp", read_only=False),)
    assert json.loads(await pod.text("", image=image, arguments=arguments, mounts=mounts)) == str(environment)
    await pod.runtime.remove("uid")


async def test_a_read_only_root_leaves_volumes_writable_only(pod: Pod) -> None:
    text = await pod.text(
        "for place in / /tmp /run /var/cache/web /data /dev/shm; do touch $place/file 2>/dev/null && echo $place; done",
        read_only_root=True,
    )
    assert text.split() == ["/data", "/dev/shm"]
    await pod.runtime.remove("uid")


async def test_standard_output_can_be_opened_by_its_path(pod: Pod) -> None:
    text = await pod.text("echo out >/dev/stdout; echo err >/dev/stderr", user=101, group=101)
    assert sorted(text.split()) == ["err", "out"]
    await pod.runtime.remove("uid")


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 42", 42), ("kill -9 $$; sleep 9 & kill -9 $!; exit 7", 7)]
)
async def test_the_exit_code_is_that_of_the_command(pod: Pod, script: str, code: int) -> None:
    container = await pod.start(script)
    assert await pod.runtime.wait(container.id) == code
    await pod.runtime.remove("uid")


async def test_signals_reach_process_1_and_a_kill_ends_all_of_it(pod: Pod) -> None:
    container = await pod.start("trap 'exit 5' TERM; sleep 100 & while :; do sleep 0.02; done")
    # The shell may not have set its trap yet, and process 1 is deaf to a signal that it has no handler for.
    ended = asyncio.ensure_future(pod.runtime.wait(container.id))
    while not ended.done():
        pod.runtime.signal(container.id, 15)
        await asyncio.sleep(0.01)
    assert ended.result() == 5
    container = await pod.start("sleep 100 & sleep 100")
    pod.runtime.signal(container.id, 15)
    pod.runtime.signal(container.id, 9)
    assert await pod.runtime.wait(container.id) == 137
    pod.runtime.signal(container.id, 9)
    await pod.runtime.remove("uid")


async def test_removing_a_pod_ends_its_processes(pod: Pod) -> None:
    for _ in range(2):
        await pod.start("sleep 100 & sleep 100")
    assert len(pod.processes()) >= 4
    await pod.runtime.remove("uid")
    assert pod.processes() == []


async def test_what_cannot_be_started_says_why(pod: Pod) -> None:
    for arguments, message in (
        (("nothing",), 'exec: "nothing": executable file not found in \\$PATH'),
        (("/no/where",), 'exec: "/no/where": no such file or directory'),
        (("/etc/hosts",), 'exec: "/etc/hosts": permission denied'),
    ):
        with pytest.raises(StartError, match=message):
            await pod.start("", arguments=arguments)
    with pytest.raises(StartError, match="source"):
        await pod.start("", mounts=(Bind("/no/such/source", "/x"),))


async def test_a_start_that_is_given_up_leaves_nothing(pod: Pod) -> None:
    before = pipes_and_pidfds()
    task = asyncio.ensure_future(pod.start("sleep 100"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await pod.runtime.remove("uid")
    assert pod.processes() == []
    assert pipes_and_pidfds() == before


async def test_a_start_that_is_given_up_at_any_moment_leaves_no_process_on_the_machine(
    pod: Pod, tmp_path: Path
) -> None:
    for moment_ms in range(40):
        start = asyncio.ensure_future(pod.start(f"sleep 100; : {tmp_path}"))
        done, _ = await asyncio.wait([start], timeout=moment_ms / 2000)
        if not done:
            start.cancel()
        await asyncio.gather(start, return_exceptions=True)
    await pod.runtime.remove("uid")
    async with asyncio.timeout(60):
        while strays_naming(tmp_path):
            await asyncio.sleep(0.005)


async def test_removing_a_pod_waits_for_commands_whose_callers_have_gone(pod: Pod) -> None:
    container = await pod.start("sleep 100")
    process = await pod.runtime.execute(container.id, ["sleep", "99"], stdin=False, tty=False)
    process.kill()
    await pod.runtime.remove("uid")
    assert pod.processes() == []
    assert await process.wait() == 137
    assert [part async for part in process.output()] == []


@pytest.mark.parametrize("user", [0, 10001])
async def test_a_command_inside_sees_the_container_and_gives_its_code(pod: Pod, user: int) -> None:
    container = await pod.start("sleep 100", user=user, group=user, working_directory="/data")
    process = await pod.runtime.execute(
        container.id, ["sh", "-c", "id -u; pwd; cat; echo no >&2; exit 4"], stdin=True, tty=False
    )
    await process.write(b"typed\n")
    process.close_stdin()
    parts: dict[int, bytes] = {1: b"", 2: b""}
    async for stream, data in process.output():
        parts[stream] += data
    assert await process.wait() == 4
    assert parts == {1: f"{user}\n/data\ntyped\n".encode(), 2: b"no\n"}
    await pod.runtime.remove("uid")


async def test_a_command_with_a_terminal_has_one(pod: Pod) -> None:
    container = await pod.start("sleep 100")
    process = await pod.runtime.execute(
        container.id, ["sh", "-c", "test -t 0 && test -t 1 && echo terminal"], stdin=True, tty=True
    )
    assert b"".join([data async for _, data in process.output()]) == b"terminal\r\n"
    assert await process.wait() == 0
    await pod.runtime.remove("uid")


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("user", [0, 10001])
async def test_a_command_that_the_container_does_not_have_is_refused_and_says_nothing(
    pod: Pod, user: int, tty: bool
) -> None:
    container = await pod.start("sleep 100", user=user, group=user)
    for program, told in (("nosuch", "executable file not found in $PATH"), ("/etc", "permission denied")):
        process = await pod.runtime.execute(container.id, [program, "x"], stdin=False, tty=tty)
        assert [part async for part in process.output()] == []
        assert await process.wait() in (126, 127)
        assert process.refusal == f'exec: "{program}": {told}'
    await pod.runtime.remove("uid")


@pytest.mark.parametrize(
    "said", ["setpriv", "setpriv: failed to execute sh: no", "setpriv: failed to execute me\nmore\n"]
)
async def test_a_command_may_say_what_its_starter_might_have_said(pod: Pod, said: str) -> None:
    container = await pod.start("sleep 100")
    script = 'printf %s "$0" >&2; exit 3'
    process = await pod.runtime.execute(container.id, ["sh", "-c", script, said], stdin=False, tty=False)
    assert b"".join([data async for _, data in process.output()]) == said.encode()
    assert (await process.wait(), process.refusal) == (3, "")
    await pod.runtime.remove("uid")


async def test_a_command_that_is_killed_does_not_live_on_in_the_container(pod: Pod) -> None:
    container = await pod.start("sleep 100")
    process = await pod.runtime.execute(container.id, ["sleep", "99"], stdin=False, tty=False)
    while not any(args == "sleep 99" for args in pod.processes()):
        await asyncio.sleep(0.005)
    process.kill()
    assert await process.wait() == 137
    assert [part async for part in process.output()] == []
    while any(args == "sleep 99" for args in pod.processes()):
        await asyncio.sleep(0.005)
    await pod.runtime.remove("uid")
    with pytest.raises(StartError, match="does not run"):
        await pod.runtime.execute(container.id, ["true"], stdin=False, tty=False)


async def test_much_output_is_bounded_by_the_log_and_loses_no_last_line(pod: Pod) -> None:
    container = await pod.start("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done")
    assert await pod.runtime.wait(container.id) == 0
    text = b"".join([piece async for piece in container.log.read(LogOptions(tail_lines=1))])
    assert text == b"line 1999\n"
    await pod.runtime.remove("uid")


async def test_a_command_that_ended_before_anybody_could_look_has_run_all_the_same(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.pidfd_open
    asked: list[int] = []

    def gone(pid: int) -> int:
        # The first is opened for bubblewrap itself, the second for the process that it started.
        asked.append(pid)
        if len(asked) == 2:
            raise ProcessLookupError
        return opened(pid)

    monkeypatch.setattr(os, "pidfd_open", gone)
    container = await pod.start("echo done; exit 3")
    assert await pod.runtime.wait(container.id) == 3
    assert b"".join([piece async for piece in container.log.read(LogOptions())]) == b"done\n"
    await pod.runtime.remove("uid")
    assert len(asked) == 2
