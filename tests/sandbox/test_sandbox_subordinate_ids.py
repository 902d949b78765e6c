"""Real images in the sandbox of an ordinary user, who has ids of others by /etc/subuid and /etc/subgid, or has none."""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from flametest.sandbox.launch import Sandbox, SandboxOptions, find, image_store
from tests.addresses import own_address
from tests.images.building import BASE, Entry, TestImage, base_layer, layer, write_docker_archive
from tests.sandbox.cluster_access import Access
from tests.sandbox.conftest import Api
from tests.sandbox.image_pods import PODS, log_of, pod, printed, state_of
from tests.sandbox.ordinary_user import OrdinaryUser

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can run tests as somebody who has other ids"),
]

FIRST = 700_000
RANGES = f"{FIRST}:65536"
STEPS_DOWN = """\
#!/bin/sh
set -e
chown redis:redis /data /data/marked
exec setpriv --reuid=redis --regid=redis --init-groups "$@"
"""
PRINTS = 'id -u; id -G; stat -c "%u %g" /data /data/marked; touch /data/new && echo made; cat /secret'
FILES = layer(
    Entry("data/marked", b"of the image\n", uid=33, gid=33),
    Entry("data/others", b"", uid=33, gid=33),
    Entry("secret", b"for root\n", 0o600),
    Entry("usr/bin/entrypoint", STEPS_DOWN.encode(), 0o755),
)
DEVICE = layer(Entry("device", kind=b"3", mode=0o666))
FAR = layer(Entry("far", uid=1_000_690_000))

START = """
import sys
from pathlib import Path
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import load_archive
from flametest.sandbox.launch import SandboxOptions, image_store, start
options = SandboxOptions(home=Path(sys.argv[1]), node_port_address=sys.argv[2])
load_archive(ImageStore(image_store(options.home)), Path(sys.argv[3]))
start(options)
"""
PRUNE = """
import sys
from pathlib import Path
from flametest.sandbox.images import ImageStore
ImageStore(Path(sys.argv[1])).prune(names=True)
"""


@pytest.fixture(scope="module")
def images() -> dict[str, TestImage]:
    """Return the images by their names."""
    base = base_layer()
    return {
        "test/steps-down:1": TestImage((base, FILES, DEVICE), {**BASE, "Entrypoint": ["entrypoint"]}),
        "test/redis:1": TestImage((base, FILES), {**BASE, "User": "redis", "WorkingDir": "/data"}),
        "test/far:1": TestImage((base, FAR), BASE),
    }


class Cluster:
    """The sandbox that an ordinary user has started."""

    def __init__(self, user: OrdinaryUser, images: dict[str, TestImage], address: str) -> None:
        self.user = user
        self.options = SandboxOptions(home=user.home / "home", node_port_address=address)
        archive = write_docker_archive(user.home / "images.tar", images)
        self._arguments = (str(self.options.home), address)
        user.run(START, *self._arguments, str(archive), seconds_max=120)
        self.api = Api(self.sandbox)

    @property
    def sandbox(self) -> Sandbox:
        found = find(self.options)
        assert found is not None
        return found

    def forget_images(self) -> None:
        """Remove all images, as the user."""
        self.user.run(PRUNE, str(image_store(self.options.home)), seconds_max=60)

    def warnings(self, name: str) -> list[dict[str, Any]]:
        """Return the warnings about a pod."""
        events = self.api("/api/v1/namespaces/default/events")["items"]
        return [one for one in events if one["involvedObject"]["name"] == name and one["type"] == "Warning"]


@contextlib.contextmanager
def cluster_with(ranges: str, images: dict[str, TestImage], name: str) -> Iterator[Cluster]:
    with OrdinaryUser.existing(ranges) as user:
        made = Cluster(user, images, own_address(name))
        try:
            yield made
        finally:
            if (sandbox := find(made.options)) is not None:
                sandbox.stop()


@pytest.fixture(scope="module")
def cluster(images: dict[str, TestImage]) -> Iterator[Cluster]:
    """Return a sandbox of a user who was given ids of others."""
    with cluster_with(RANGES, images, "ids of others") as made:
        yield made


@pytest.fixture(scope="module")
def cluster_of_one(images: dict[str, TestImage]) -> Iterator[Cluster]:
    """Return a sandbox of a user who has his own ids only."""
    with cluster_with("", images, "no ids of others") as made:
        yield made


def test_images_have_users_where_ids_were_given(cluster: Cluster) -> None:
    api = cluster.api
    text = printed_by_entrypoint(api, "steps", PRINTS)
    assert text.splitlines()[:5] == ["999", "998 44", "999 998", "999 998", "made"]
    assert "/secret: Permission denied" in text
    assert cluster.warnings("steps") == []
    api(PODS, pod("own", "test/redis:1", "sleep", "1000"))
    state_of(api, "own", lambda state: "running" in state)
    access = Access(cluster.sandbox)
    try:
        text = access.execute("own", "sh", "-c", "id -u; stat -c '%u %g' marked; grep CapEff /proc/self/status")
    finally:
        access.close()
    assert text.split("\n")[:2] == ["999", "33 33"]
    assert "CapEff:\t0000000000000000" in text
    owners = {path.stat().st_uid for path in image_store(cluster.options.home).glob("roots/*/rootfs/data/*")}
    assert owners == {FIRST + 32}


def test_ids_that_were_not_given_are_told_beforehand(cluster: Cluster) -> None:
    api = cluster.api
    far = {"runAsUser": 1_000_690_000, "runAsGroup": 1_000_690_000}
    text = printed(api, "far", "test/redis:1", "id -u; cat /secret", securityContext=far)
    assert text.splitlines() == ["1000690000", "for root"]
    (warning,) = cluster.warnings("far")
    assert "runs as user 1000690000:1000690000, which this sandbox has under another number only" in warning["message"]
    groups = {"fsGroup": 1_000_690_000, "supplementalGroups": [44]}
    assert printed(api, "groups", "test/redis:1", "id -G", securityContext=groups) == "998 44\n"
    (warning,) = cluster.warnings("groups")
    assert "does not get the groups 1000690000" in warning["message"]
    api(PODS, pod("owner", "test/far:1"))
    waiting = state_of(api, "owner", lambda state: state.get("waiting", {}).get("message") is not None)
    assert "the ids to which /far belongs are not there; remedy: " in waiting["state"]["waiting"]["message"]
    assert "/etc/subuid" in waiting["state"]["waiting"]["message"]


def test_nothing_of_other_ids_is_left_when_all_was_killed(images: dict[str, TestImage]) -> None:
    with cluster_with(RANGES, images, "ids of others, killed") as cluster:
        kill(cluster)
        state_folder = cluster.options.state_folder
        Access.until(lambda: {path.name for path in state_folder.iterdir()} == {"lock", "sandbox.log"}, 60)
        cluster.forget_images()
        store = image_store(cluster.options.home)
        assert [*store.glob("roots/*"), *store.glob("partial/*"), *store.glob("blobs/sha256/*")] == []


def kill(cluster: Cluster) -> None:
    """Kill a sandbox while a container writes as one of the ids that were given."""
    api = cluster.api
    api(PODS, pod("steps", "test/steps-down:1", container={"args": ["sh", "-c", "mkdir -m 700 /data/own; sleep 1000"]}))
    state_of(api, "steps", lambda state: "running" in state)
    pods = cluster.sandbox.state_folder / "pods"
    Access.until(lambda: FIRST + 998 in {path.lstat().st_uid for path in pods.rglob("layer/data/own")})
    os.kill(cluster.sandbox.pid, signal.SIGKILL)


def test_an_image_that_changes_its_user_is_told_why_it_cannot(cluster_of_one: Cluster) -> None:
    api = cluster_of_one.api
    api(PODS, pod("steps", "test/steps-down:1", container={"args": ["sh", "-c", PRINTS]}))
    ended = state_of(api, "steps", lambda state: "terminated" in state)["state"]["terminated"]
    assert ended["exitCode"] != 0
    assert "Invalid argument" in log_of(api, "steps")
    events = api("/api/v1/namespaces/default/events")["items"]
    mine = [one["reason"] for one in events if one["involvedObject"]["name"] == "steps"]
    assert mine.index("ImageDiffers") < mine.index("Created")
    (warning,) = cluster_of_one.warnings("steps")
    assert "changes users or owners (chown in /usr/bin/entrypoint)" in warning["message"]
    assert (
        f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {cluster_of_one.user.name}"
        in warning["message"]
    )


def test_an_image_with_one_user_needs_no_ids(cluster_of_one: Cluster) -> None:
    api = cluster_of_one.api
    assert printed(api, "own", "test/redis:1", "id -u; touch /data/new && echo made") == "999\nmade\n"
    assert printed(api, "far", "test/far:1", "id -u") == "0\n"
    assert cluster_of_one.warnings("own") == cluster_of_one.warnings("far") == []


def printed_by_entrypoint(api: Api, name: str, script: str) -> str:
    """Return what a script prints that the image's entrypoint starts."""
    api(PODS, pod(name, "test/steps-down:1", container={"args": ["sh", "-c", script]}))
    return log_of(api, name)
