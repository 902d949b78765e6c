"""Real images in a sandbox: their root, their users, their layers; and nothing of them afterwards."""

import json
import os
import signal
import tarfile
from pathlib import Path

import pytest

from flametest.sandbox import controlgroups
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import load_archive
from flametest.sandbox.launch import Sandbox, SandboxOptions, image_store, start
from tests.images.building import BASE, Entry, TestImage, base_layer, layer, write_docker_archive
from tests.images.registry import serving
from tests.sandbox.cluster_access import Access
from tests.sandbox.conftest import Api
from tests.sandbox.image_pods import PODS, log_of, pod, printed, state_of

pytestmark = pytest.mark.sandbox

FILES = layer(
    Entry("data/marked", b"of the image\n", uid=999, gid=998),
    Entry("secret", b"for root\n", 0o600),
    Entry("usr/bin/print-ids", b'#!/bin/sh\necho "$(id -u):$(id -g):$(id -G):$HOME:$PWD:$COLOUR"\nsleep 1000\n', 0o755),
)
IMAGES = {
    "root:1": TestImage((FILES,), BASE),
    "redis:1": TestImage((FILES,), {**BASE, "User": "redis", "WorkingDir": "/data", "Cmd": ["print-ids"]}),
    "volumes:1": TestImage((FILES,), {**BASE, "Volumes": {"/data": {}}}),
    "nobody-there:1": TestImage((), {**BASE, "User": "eve"}),
    "bare:1": TestImage((layer(Entry("only", b"a file")),), {"Cmd": ["/none"]}),
}


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of all images, each with a shell but one."""
    base = base_layer()
    images = {
        f"test/{name}": TestImage((base, *image.layers), image.config) if name != "bare:1" else image
        for name, image in IMAGES.items()
    }
    return write_docker_archive(tmp_path_factory.mktemp("images") / "all.tar", images)


@pytest.fixture
def options(options: SandboxOptions, archive: Path) -> SandboxOptions:
    """Return options for a sandbox whose store has the images."""
    load_archive(ImageStore(image_store(options.home)), archive)
    return options


def test_a_container_has_the_root_of_its_image_and_a_layer_of_its_own(api: Api) -> None:
    script = "cat /data/marked; echo mine > /data/marked; cat /data/marked; ls /"
    for name in ("first", "second"):
        text = printed(api, name, "test/root:1", script)
        assert text.startswith("of the image\nmine\n")
        assert set(text.split()[4:]) >= {"bin", "data", "etc", "usr"}
        assert "home" not in text


def test_a_container_runs_as_the_user_of_its_image(api: Api) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user has one user id")
    api(PODS, pod("own", "test/redis:1", container={"command": None}))
    state_of(api, "own", lambda state: "running" in state)
    script = 'exec 2>&1; echo "$(id -u) $(id -g) $(id -G) $HOME"; stat -c "%u %g" /data/marked; cat /secret; touch /new'
    text = printed(api, "asked", "test/redis:1", script)
    assert text.splitlines()[:2] == ["999 998 998 44 /home/redis", "999 998"]
    assert "/secret: Permission denied" in text
    assert "cannot touch '/new'" in text
    text = printed(
        api,
        "root",
        "test/redis:1",
        "id -u; cat /secret; chown 5:6 /data/marked; stat -c %u /data/marked",
        securityContext={"runAsUser": 0},
    )
    assert text.splitlines() == ["0", "for root", "5"]
    text = printed(api, "other", "test/root:1", "id -u; id -G", securityContext={"runAsUser": 999, "fsGroup": 77})
    assert text.splitlines() == ["999", "998 44 77"]


def test_root_has_the_capabilities_of_a_container_and_no_more(api: Api) -> None:
    text = printed(api, "root", "test/root:1", "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; cat /proc/1/comm")
    facts = dict(line.split() for line in text.splitlines()[:3])
    assert facts == {"CapEff:": "00000000a80425fb", "CapBnd:": "00000000a80425fb", "NoNewPrivs:": "1"}
    assert text.splitlines()[3] == "sh"
    context = {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "SYS_ADMIN"]}}}
    text = printed(api, "less", "test/root:1", "grep -E 'CapEff|CapBnd' /proc/self/status", container=context)
    assert {line.split()[1] for line in text.splitlines()} == {f"{1 << 10:016x}"}


def test_commands_are_executed_as_the_user_in_the_root(api: Api, sandbox: Sandbox) -> None:
    api(PODS, pod("own", "test/redis:1", "sleep", "1000"))
    state_of(api, "own", lambda state: "running" in state)
    access = Access(sandbox)
    try:
        text = access.execute("own", "sh", "-c", "id -u; cat marked; grep CapEff /proc/self/status")
    finally:
        access.close()
    user = "999" if os.geteuid() == 0 else "0"
    assert text.split("\n")[:2] == [user, "of the image"] or os.geteuid() != 0
    assert "CapEff:\t0000000000000000" in text or os.geteuid() != 0


def test_a_read_only_root_leaves_the_volumes_of_the_image_writable(api: Api) -> None:
    script = "echo x > /data/new && cat /data/new /data/marked; touch /srv/x; echo x > /claim/x && echo claimed"
    text = printed(
        api,
        "fixed",
        "test/volumes:1",
        script,
        container={
            "securityContext": {"readOnlyRootFilesystem": True},
            "volumeMounts": [{"name": "claim", "mountPath": "/claim/deep/.."}],
        },
        volumes=[{"name": "claim", "emptyDir": {}}],
    )
    assert "x\nof the image\n" in text
    assert "Read-only file system" in text
    assert "claimed" in text


def test_an_image_cannot_have_places_made_outside_its_root(options: SandboxOptions, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    entries = [
        Entry("volume", kind=tarfile.SYMTYPE, link=f"/oldroot{outside}"),
        Entry("etc/hosts", kind=tarfile.SYMTYPE, link=f"/oldroot{outside}/hosts"),
        Entry("etc/resolv.conf", kind=tarfile.SYMTYPE, link=f"../../../../oldroot{outside}/resolv.conf"),
        Entry("work", kind=tarfile.SYMTYPE, link=f"/newroot/../oldroot{outside}/work"),
        Entry("sys", kind=tarfile.SYMTYPE, link=f"/oldroot{outside}/sys"),
    ]
    image = TestImage((base_layer(), layer(*entries)), {**BASE, "WorkingDir": "/work"})
    load_archive(
        ImageStore(image_store(options.home)), write_docker_archive(tmp_path / "h.tar", {"test/hostile:1": image})
    )
    api = Api(start(options))
    mounts = [{"name": "claim", "mountPath": "/volume/deep"}]
    script = "echo x > /volume/deep/x; cat /volume/deep/x; ls /oldroot; cat /etc/hosts"
    text = printed(
        api,
        "hostile",
        "test/hostile:1",
        script,
        container={"volumeMounts": mounts},
        volumes=[{"name": "claim", "emptyDir": {}}],
    )
    assert text.startswith("x\n")
    assert "Kubernetes-managed hosts file" in text
    assert list(outside.iterdir()) == []


def test_limits_of_memory_and_processors_hold(sandbox: Sandbox, api: Api) -> None:
    groups = controlgroups.find(sandbox.state_folder)
    if groups is None:
        pytest.skip("no control groups can be made here")
    limits = {"resources": {"limits": {"memory": "32Mi", "cpu": "100m"}}}
    api(PODS, pod("greedy", "test/root:1", "bash", "-c", "printf -v text %200000000s x", container=limits))
    ended = state_of(api, "greedy", lambda state: "terminated" in state)["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    api(PODS, pod("busy", "test/redis:1", "sh", "-c", "while :; do :; done", container=limits))
    name = state_of(api, "busy", lambda state: "running" in state)["containerID"].partition("://")[2]
    counts = groups.folders[-1] / name / "cpu.stat"
    Access.until(lambda: int(counts.read_text().split("nr_throttled")[1].split()[0]) >= 3, 60)


def test_what_cannot_run_says_why(api: Api) -> None:
    api(PODS, pod("bare", "test/bare:1"))
    ended = state_of(api, "bare", lambda state: "terminated" in state)["state"]["terminated"]
    assert ended["reason"] == "StartError"
    assert 'exec: "/none": no such file or directory' in ended["message"]
    api(PODS, pod("eve", "test/nobody-there:1"))
    waiting = state_of(api, "eve", lambda state: state.get("waiting", {}).get("message") is not None)
    assert "unable to find user eve" in waiting["state"]["waiting"]["message"]


@pytest.mark.parametrize(
    ("image", "policy", "reason", "cause"),
    [
        ("test/none:1", "Never", "ErrImageNeverPull", "is not in the image store"),
        ("UPPER", "IfNotPresent", "InvalidImageName", "invalid reference format"),
        ("127.0.0.1:1/none:1", "IfNotPresent", "ErrImagePull", "connection refused"),
        ("127.0.0.1:1/none:1", "Always", "ErrImagePull", "connection refused"),
    ],
)
def test_an_image_that_cannot_be_had_says_why(api: Api, image: str, policy: str, reason: str, cause: str) -> None:
    api(PODS, pod("none", image, container={"imagePullPolicy": policy}))
    expected = (reason, "ImagePullBackOff") if reason == "ErrImagePull" else (reason,)
    found = state_of(api, "none", lambda state: state.get("waiting", {}).get("reason") in expected)
    assert cause in found["state"]["waiting"]["message"]


def test_the_real_image_comes_before_its_stand_in(options: SandboxOptions, tmp_path: Path) -> None:
    image = TestImage((base_layer(),), {**BASE, "Cmd": ["sh", "-c", "echo real"]})
    store = ImageStore(image_store(options.home))
    load_archive(store, write_docker_archive(tmp_path / "n.tar", {"nginx:1": image}))
    api = Api(start(options))
    api(PODS, pod("real", "nginx:1"))
    assert log_of(api, "real") == "real\n"
    api(PODS, pod("stand-in", "nginx:2"))
    status = state_of(api, "stand-in", lambda state: "running" in state)
    assert status["imageID"] == "stand-in://nginx:2"
    with api.open(f"{PODS}/real") as answer:
        real = json.load(answer)["status"]["containerStatuses"][0]
    assert real["imageID"] == f"docker.io/library/nginx@{store.images()[0].digest}"


def test_nothing_is_left_when_a_pod_or_the_sandbox_ends(options: SandboxOptions) -> None:
    sandbox = start(options)
    api = Api(sandbox)
    for name in ("one", "two"):
        api(PODS, pod(name, "test/root:1"))
        state_of(api, name, lambda state: "running" in state)
    api(f"{PODS}/one", method="DELETE")
    api.watch_until(PODS, lambda found: len(found["items"]) == 1)
    pods = sandbox.state_folder / "pods" / "pods"
    Access.until(lambda: api(PODS) and len(list(pods.glob("*/roots/*"))) == 1)
    roots = image_store(options.home) / "roots"
    before = {path: path.stat().st_mtime_ns for path in roots.rglob("*") if not path.is_symlink()}
    os.kill(sandbox.pid, signal.SIGKILL)
    start(options).stop()
    assert "overlay " + str(sandbox.state_folder) not in Path("/proc/self/mounts").read_text()
    assert not (sandbox.state_folder / "pods").exists()
    assert {path: path.stat().st_mtime_ns for path in roots.rglob("*") if not path.is_symlink()} == before


def test_a_sandbox_pulls_with_the_secrets_of_the_pod(options: SandboxOptions) -> None:
    sandbox = start(options)
    api = Api(sandbox)
    with serving() as registry:
        registry.login = ("ann", "a-password")
        registry.add("shop/web", "1", TestImage((base_layer(),), {**BASE, "Cmd": ["sh", "-c", "echo pulled"]}))
        name = f"{registry.address}/shop/web:1"
        api(PODS, pod("refused", name))
        found = state_of(api, "refused", lambda state: state.get("waiting", {}).get("message") is not None)
        assert "pull access denied" in found["state"]["waiting"]["message"]
        auths = {"auths": {registry.address: {"username": "ann", "password": "a-password"}}}
        secret = {
            "metadata": {"name": "login", "namespace": "default"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(auths)},
        }
        api("/api/v1/namespaces/default/secrets", secret)
        api(PODS, pod("given", name, imagePullSecrets=[{"name": "absent"}, {"name": "login"}]))
        assert log_of(api, "given") == "pulled\n"
        events = [event["message"] for event in api("/api/v1/namespaces/default/events")["items"]]
        assert any(text.startswith(f'Successfully pulled image "{name}" in ') for text in events)
    assert not any("a-password" in text for text in events)
    assert "a-password" not in (sandbox.state_folder / "sandbox.log").read_text()
