"""A sandbox that runs a real image, whichever of its processes is killed: it goes on or ends, and nothing is left."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flametest.sandbox import controlgroups
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import load_archive
from flametest.sandbox.launch import Sandbox, SandboxOptions, find, image_store, start
from tests.images.building import (
    BASE,
    TestImage,
    base_layer,
    layer_of_holes,
    server_from_nothing,
    write_docker_archive,
)
from tests.images.registry import Registry, serving
from tests.sandbox.cluster_access import Access
from tests.sandbox.conftest import Api
from tests.sandbox.image_pods import PODS, log_of, pod, state_of
from tests.sandbox.remains import nothing_is_left_of

pytestmark = pytest.mark.sandbox

LIMITS = {"resources": {"limits": {"memory": "64Mi", "cpu": "500m"}}}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = {"test/web:1": server_from_nothing(), "test/shell:1": TestImage((base_layer(),), BASE)}
    return write_docker_archive(tmp_path_factory.mktemp("images") / "all.tar", images)


@pytest.fixture
def options(options: SandboxOptions, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SandboxOptions:
    """Return options for a sandbox whose store has the images, and whose programs have a folder for temporary files."""
    load_archive(ImageStore(image_store(options.home)), archive)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return options


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Return a registry that has an image and does not send it."""
    with serving() as found:
        found.add("test/slow", "1", TestImage((base_layer(),), {**BASE, "Cmd": ["sh", "-c", "echo pulled"]}))
        found.held.set()
        yield found


def processes(sandbox: Sandbox) -> dict[int, str]:
    """Return the command lines of the supervisor and of all processes below it."""
    found: dict[int, str] = {}
    pending = [sandbox.pid]
    while pending:
        pid = pending.pop()
        try:
            found[pid] = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
            pending += [
                int(child)
                for task in Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()
            ]
        except OSError:
            continue
    return found


def process(sandbox: Sandbox, pattern: str) -> int:
    """Return the process whose command line matches, when there is one."""

    def found() -> int:
        return next((pid for pid, words in processes(sandbox).items() if re.search(pattern, words)), 0)

    number: int = Access.until(found, 60)
    return number


def run_everything(sandbox: Sandbox, registry: Registry) -> None:
    """Have a container of a real image run, a command in another, and an image be fetched."""
    api = Api(sandbox)
    api(PODS, pod("web", "test/web:1", container=LIMITS))
    probe = {"exec": {"command": ["sleep", "1000"]}, "timeoutSeconds": 1000}
    api(PODS, pod("shell", "test/shell:1", "sleep", "999", container={**LIMITS, "readinessProbe": probe}))
    api(PODS, pod("slow", f"{registry.address}/test/slow:1"))
    for name in ("web", "shell"):
        state_of(api, name, lambda state: "running" in state)
    for pattern in ("nginx: worker", "^sleep 1000", "^/usr/bin/skopeo|^skopeo"):
        process(sandbox, pattern)


SUPERVISOR, CLUSTER = "flametest.sandbox.supervisor", "flametest.sandbox.cluster"
FORWARDER = "flametest.sandbox.network.forwarder"


@pytest.mark.parametrize(
    "program",
    [
        SUPERVISOR,
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in (CLUSTER, FORWARDER, "init")),
    ],
)
def test_nothing_is_left_when_the_cluster_is_killed(
    options: SandboxOptions, registry: Registry, tmp_path: Path, program: str
) -> None:
    with nothing_is_left_of(options, lambda sandbox: run_everything(sandbox, registry)) as family:
        assert len(family.descriptors) >= 12
        if program == "init":
            sandbox = find(options)
            assert sandbox is not None
            family.kill_process(sandbox.init_pid)
        else:
            family.kill(program)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert ImageStore(image_store(options.home)).prune(names=True)[1] != ()
    assert list((image_store(options.home) / "partial").iterdir()) == []


def test_a_sandbox_goes_on_when_a_process_of_a_container_is_killed(options: SandboxOptions) -> None:
    sandbox = start(options)
    api = Api(sandbox)
    victims: dict[str, Callable[[], int]] = {
        "bwrap": lambda: process(sandbox, "bwrap .*nginx"),
        "first": lambda: process(sandbox, "^nginx: master|^/nginx"),
        "worker": lambda: process(sandbox, "^nginx: worker"),
    }
    for name, victim in victims.items():
        api(PODS, pod(name, "test/web:1", container=LIMITS))
        state_of(api, name, lambda state: "running" in state)
        process(sandbox, "^nginx: worker")
        killed = victim()
        os.kill(killed, signal.SIGKILL)
        if name == "worker":  # which its master replaces
            replaced(sandbox, "^nginx: worker", killed)
        else:
            ended = state_of(api, name, lambda state: "terminated" in state)["state"]["terminated"]
            assert ended["exitCode"] == 137
        api(f"{PODS}/{name}", method="DELETE")
        Access.until(lambda: nothing_runs(sandbox))


@pytest.mark.parametrize("victim", ["nsenter .* sleep 998$", "^sleep 998"])
def test_a_container_goes_on_when_a_command_in_it_is_killed(options: SandboxOptions, victim: str) -> None:
    sandbox = start(options)
    api = Api(sandbox)
    probe = {
        "exec": {"command": ["sleep", "998"]},
        "timeoutSeconds": 1000,
        "periodSeconds": 1,
        "failureThreshold": 1000,
    }
    api(PODS, pod("shell", "test/shell:1", "sleep", "999", container={**LIMITS, "readinessProbe": probe}))
    first = process(sandbox, "^sleep 998")
    os.kill(process(sandbox, victim), signal.SIGKILL)
    replaced(sandbox, "^sleep 998", first)
    Access.until(lambda: first not in processes(sandbox))
    assert "running" in state_of(api, "shell", lambda _: True)["state"]
    api(f"{PODS}/shell", method="DELETE")
    Access.until(lambda: nothing_runs(sandbox))


def test_a_pull_that_is_killed_is_tried_again(options: SandboxOptions, registry: Registry, tmp_path: Path) -> None:
    sandbox = start(options)
    api = Api(sandbox)
    for number, program in enumerate(("^/usr/bin/skopeo|^skopeo", "flametest.sandbox.images.fetch")):
        name = f"slow-{number}"
        api(PODS, pod(name, f"{registry.address}/test/slow:1"))
        os.kill(process(sandbox, program), signal.SIGKILL)
        found = state_of(api, name, lambda state: "waiting" in state and "ErrImagePull" in str(state))
        assert "failed to" in found["state"]["waiting"]["message"]
        Access.until(lambda: not any("skopeo" in words for words in processes(sandbox).values()))
    registry.held.clear()
    assert log_of(api, "slow-0") == log_of(api, "slow-1") == "pulled\n"
    assert list((image_store(options.home) / "partial").iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.exhaustive
def test_an_unpacking_that_is_killed_is_done_again(options: SandboxOptions, tmp_path: Path) -> None:
    image = TestImage(
        (base_layer(), layer_of_holes(tmp_path, 900 << 20)), {**BASE, "Cmd": ["sh", "-c", "echo unpacked"]}
    )
    store = ImageStore(image_store(options.home))
    load_archive(store, write_docker_archive(tmp_path / "large.tar", {"test/large:1": image}))
    sandbox = start(options)
    api = Api(sandbox)
    api(PODS, pod("large", "test/large:1"))
    os.kill(process(sandbox, "umoci raw unpack"), signal.SIGKILL)
    found = state_of(api, "large", lambda state: "waiting" in state and "ErrImagePull" in str(state))
    assert "umoci was ended" in found["state"]["waiting"]["message"]
    assert log_of(api, "large") == "unpacked\n"
    assert list((store.folder / "partial").iterdir()) == []


@pytest.mark.exhaustive
def test_nothing_is_left_when_a_sandbox_is_killed_that_unpacks(options: SandboxOptions, tmp_path: Path) -> None:
    store = ImageStore(image_store(options.home))
    image = TestImage((base_layer(), layer_of_holes(tmp_path, 900 << 20)), BASE)
    load_archive(store, write_docker_archive(tmp_path / "large.tar", {"test/large:1": image}))

    def unpack(sandbox: Sandbox) -> None:
        Api(sandbox)(PODS, pod("large", "test/large:1"))
        process(sandbox, "umoci raw unpack")

    with nothing_is_left_of(options, unpack) as family:
        family.kill(SUPERVISOR)
    assert not list((store.folder / "roots").iterdir())
    store.prune(names=False)
    assert list((store.folder / "partial").iterdir()) == []


def replaced(sandbox: Sandbox, pattern: str, killed: int) -> None:
    Access.until(lambda: process(sandbox, pattern) != killed, 60)


def nothing_runs(sandbox: Sandbox) -> bool:
    """Return whether no container has left anything: process, overlay, layer or control group."""
    mounts = Path(f"/proc/{process(sandbox, CLUSTER)}/mounts").read_text()
    groups = controlgroups.find(sandbox.state_folder)
    left = [path for folder in (groups.folders if groups else ()) for path in folder.iterdir() if path.is_dir()]
    left += list((sandbox.state_folder / "pods" / "pods").glob("*/roots/*"))
    containers = [words for words in processes(sandbox).values() if re.search("bwrap|nginx|nsenter|sleep 99", words)]
    return not left and not containers and f"overlay {sandbox.state_folder}" not in mounts


def test_nothing_is_left_when_what_clears_up_was_killed(options: SandboxOptions) -> None:
    with nothing_is_left_of(options) as family:
        sandbox = find(options)
        assert sandbox is not None
        os.kill(process(sandbox, "flametest.sandbox.leftovers"), signal.SIGKILL)
        assert Api(sandbox)(PODS)["items"] == []
        sandbox.stop()
        assert len(family.descriptors) >= 4
