"""A container of a hostile image sees and changes nothing of the machine and of others, though it runs as root."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import load_archive
from flametest.sandbox.launch import SandboxOptions, image_store, start
from tests.addresses import own_address
from tests.images.building import BASE, Entry, TestImage, base_layer, layer, write_docker_archive
from tests.sandbox.conftest import Api
from tests.sandbox.image_pods import PODS, log_of, pod, printed, state_of

pytestmark = pytest.mark.sandbox

BLOCK, CHARACTER = tarfile.BLKTYPE, tarfile.CHRTYPE
SECRET = "a secret of the host"
NOT_READ = "not read"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of the host with a secret in it."""
    made = tmp_path_factory.mktemp("host")
    (made / "secret").write_text(SECRET)
    return made


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[Api]:
    """Return the API of a sandbox whose store has an image of another system, and a hostile one."""
    options = SandboxOptions(home=folder / "home", node_port_address=own_address("hostile images"))
    load_images(image_store(options.home), folder)
    sandbox = start(options)
    yield Api(sandbox)
    sandbox.stop()


def load_images(store: Path, folder: Path) -> None:
    base = base_layer()
    with tarfile.open(fileobj=io.BytesIO(base)) as archive:
        member = archive.extractfile("usr/bin/id")
        assert member is not None
        program = member.read()
    entries = [
        Entry("host", kind=tarfile.SYMTYPE, link=str(folder / "secret")),
        Entry("far", kind=tarfile.SYMTYPE, link="../../../../../../../../../../.." + str(folder / "secret")),
        Entry("store", kind=tarfile.SYMTYPE, link=str(store)),
        Entry("device", kind=CHARACTER, mode=0o666),
        Entry("as-root", program, 0o4755),
        Entry("as-group", program, 0o2755),
    ]
    images = {
        "test/others:1": TestImage((base, layer(Entry("private", SECRET.encode()))), BASE),
        "test/hostile:1": TestImage((base, layer(*entries)), BASE),
    }
    load_archive(ImageStore(store), write_docker_archive(folder / "all.tar", images))


# Each line tries something, and prints what it got.
ATTEMPTS = f"""
read_one() {{ read -rN 4 byte < "$1" && echo "read $1" || echo {NOT_READ}; }}
for path in /host /far /store/references.json /proc/1/root/host /proc/self/cwd/../../host /dev/../host; do
    read_one $path
done
read_one /device
for folder in / /dev /dev/shm /tmp /data /volume /etc; do
    mkdir -p $folder
    mknod -m 666 $folder/disk b DISK && echo "made $folder/disk" || continue
    read_one $folder/disk
done
# Only opened, so that nothing is lost where it works.
for file in /proc/sys/kernel/core_pattern /proc/sys/vm/overcommit_memory /proc/sys/net/ipv4/ip_forward \\
    /proc/sysrq-trigger /proc/irq/default_smp_affinity; do
    [ -e $file ] && ( exec 3> $file ) && echo "wrote $file"
done
for file in /proc/kcore /proc/keys /proc/timer_list; do
    read_one $file
done
cat /proc/sys/net/ipv4/ip_forward
read_one /dev/mem
echo done
ls -l /proc/1/fd
echo end
"""


def test_a_container_cannot_read_the_host_nor_the_store(api: Api, folder: Path) -> None:
    api(PODS, pod("others", "test/others:1"))
    state_of(api, "others", lambda state: "running" in state)
    disk = os.stat(folder).st_dev
    script = ATTEMPTS.replace("DISK", f"{os.major(disk)} {os.minor(disk)}")
    mount = {"volumeMounts": [{"name": "volume", "mountPath": "/volume"}]}
    volume = {"name": "volume", "emptyDir": {}}
    api(PODS, pod("hostile", "test/hostile:1", "bash", "-c", script, container=mount, volumes=[volume]))
    text = log_of(api, "hostile")
    assert SECRET not in text
    assert "read /" not in text
    assert "wrote /" not in text
    tries, _, descriptors = text.partition("done\n")
    assert tries.count(NOT_READ) >= 9
    assert "made //disk" in tries or os.geteuid() != 0
    links = [line.rpartition(" -> ")[2] for line in descriptors.splitlines() if " -> " in line]
    assert all(link == "/dev/null" or link.startswith(("pipe:", "socket:")) for link in links), links


def test_a_set_uid_program_gives_no_rights(api: Api) -> None:
    user = {"runAsUser": 999, "runAsGroup": 998}
    text = printed(api, "user", "test/hostile:1", "/as-root -u; /as-group -g", securityContext=user)
    assert text.split() == ["999", "998"]


def test_no_container_sets_the_kernel_of_the_machine(api: Api) -> None:
    script = "( : >> /proc/sys/kernel/core_pattern ) && echo opened; cat /proc/sys/net/ipv4/ip_forward"
    api(PODS, pod("stand-in", "busybox:1.36", "sh", "-c", script))
    text = log_of(api, "stand-in")
    assert "Read-only file system" in text or "Permission denied" in text
    assert "opened" not in text
    assert {"0", "1"} & set(text.splitlines())  # but it can be read
