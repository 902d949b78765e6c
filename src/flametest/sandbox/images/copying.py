"""Copies images into the store by skopeo: from registries, archives and folders.

The calling process waits; skopeo ends with it, whatever ends it. Sources are named as skopeo names them:
https://github.com/containers/image/blob/main/docs/containers-transports.5.md. In such a name a colon ends the path, so
paths are given from the folder that skopeo runs in, and no folder of the user's is part of one.
"""

import base64
import ctypes
import ipaddress
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images.errors import PullError
from flametest.sandbox.images.reference import InvalidReferenceError, Reference, parse_reference
from flametest.sandbox.images.store import ImageStore, StoredImage

__all__ = ["SKOPEO", "copy_built", "is_local", "load_archive", "pull", "tie_to_parent", "write_archive"]

SKOPEO = "skopeo"
_LAYOUT, _ARCHIVE = "layout", "archive"
_PULL_SECONDS_MAX = 1800
_PR_SET_PDEATHSIG = 1
_MESSAGE = re.compile(r'level=(?:fatal|error) msg="((?:[^"\\]|\\.)*)"')
_MISSING = re.compile(r"manifest unknown|name unknown|not found|\b404\b")
_NO_ARCHITECTURE = "no image found in"  # ... manifest list, or image index, for architecture ...
_FORBIDDEN = re.compile(r"unauthorized|authentication required|denied|\b403\b|invalid username/password")

_libc = ctypes.CDLL(None, use_errno=True)


def pull(store: ImageStore, reference: Reference, credentials: Mapping[str, Any]) -> StoredImage:
    """Copy an image from its registry into the store and return it.

    Args:
        store: where to.
        reference: which; by digest where it has one.
        credentials: ``auths`` as in Docker's config.json; empty for what the user has logged in to.

    Raises:
        PullError: the registry does not have it, does not give it, or cannot be reached.
        SandboxError: skopeo is not installed, or the store cannot be written.
    """
    with store.partial() as folder:
        options = ["--src-tls-verify=false"] if is_local(reference.registry) else []
        if credentials:
            authentication = folder / "auth.json"
            descriptor = os.open(authentication, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump({"auths": {name: _authentication(entry) for name, entry in credentials.items()}}, file)
            options += ["--src-authfile", str(authentication)]
        done = _copy(store, [*options, f"docker://{reference.fetched}"], folder)
        if done.returncode != 0:
            raise PullError(_translated(reference, _cause(done.stderr)))
        (image,) = store.adopt(folder / _LAYOUT, (str(reference),))
        return image


def load_archive(store: ImageStore, archive: Path, name: str = "") -> tuple[StoredImage, ...]:
    """Copy the images of an archive (``docker save``, an OCI archive or folder) into the store and return them.

    Args:
        store: where to.
        archive: a file or folder.
        name: what to call the image; empty to take the names that the archive has.

    Raises:
        SandboxError: it is no archive of images, has no name and none was given, or cannot be copied.
    """
    found: list[StoredImage] = []
    for source, names in _contents(archive, name):
        with store.partial() as folder:
            (folder / _ARCHIVE).symlink_to(archive.absolute())
            done = _copy(store, [source], folder)
            if done.returncode != 0:
                raise SandboxError(f"{archive} cannot be loaded: {_cause(done.stderr)}", "make the archive again")
            found += store.adopt(folder / _LAYOUT, names)
    return tuple(found)


def copy_built(store: ImageStore, identifier: str, name: str) -> StoredImage:
    """Copy an image from buildah's storage into the store, and return it.

    Layers stay as they are there, uncompressed, so that those which another image has brought are there already.

    Raises:
        SandboxError: it cannot be copied, or skopeo is not installed.
    """
    # Of an ordinary user the storage holds files with the ids of a user namespace; as root it leaves a mount behind.
    within = ("unshare", "--mount", "--") if os.geteuid() == 0 else ("buildah", "unshare")
    with store.partial() as folder:
        source = ["--dest-oci-accept-uncompressed-layers", f"containers-storage:@{identifier}"]
        done = _copy(store, source, folder, within)
        if done.returncode != 0:
            raise SandboxError(f"{name} was built and cannot be copied: {_cause(done.stderr)}", "try again")
        (image,) = store.adopt(folder / _LAYOUT, (name,))
        return image


def write_archive(store: ImageStore, image: StoredImage, name: str, file: Path) -> None:
    """Write what ``docker load`` reads: an image of the store, under a name.

    Raises:
        SandboxError: it cannot be written, or skopeo is not installed.
    """
    layout = store.layout(image)
    written = f"docker-archive:{os.path.relpath(file, layout.parent)}:{parse_reference(name)}"
    done = _skopeo(layout.parent, "copy", "--quiet", f"oci:{layout.name}:image", written)
    if done.returncode != 0:
        raise SandboxError(f"{name} cannot be written to {file}: {_cause(done.stderr)}", "make room on that disk")


def tie_to_parent() -> None:
    """Have the kernel kill the calling process when its parent ends; for a child before it runs its program."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _copy(
    store: ImageStore, source: list[str], folder: Path, within: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    options = ("--format", "oci", "--dest-shared-blob-dir", str(store.blobs))
    return _skopeo(folder, "copy", "--quiet", *options, *source, f"oci:{_LAYOUT}:image", within=within)


def _skopeo(folder: Path, *arguments: str, within: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    program = shutil.which(SKOPEO)
    if program is None:
        raise SandboxError("the program skopeo, which copies images, is not installed", "install the package skopeo")
    return subprocess.run(
        (*within, program, "--insecure-policy", "--command-timeout", f"{_PULL_SECONDS_MAX}s", *arguments),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        preexec_fn=tie_to_parent,
    )


def _authentication(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of ``auths`` as skopeo reads it: user and password in one, where they are told apart."""
    if entry.get("auth") or "username" not in entry:
        return dict(entry)
    pair = f"{entry['username']}:{entry.get('password', '')}"
    return {"auth": base64.b64encode(pair.encode()).decode()}


def is_local(registry: str) -> bool:
    """Return whether a registry is on this machine: as container runtimes do, such a one may go without TLS."""
    host = registry.rpartition(":")[0] if re.search(r":\d+$", registry) else registry
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _cause(stderr: str) -> str:
    """Return what skopeo says went wrong, without what it says around it."""
    messages = _MESSAGE.findall(stderr)
    text = str(messages[-1]).replace('\\"', '"').replace("\\\\", "\\") if messages else stderr.strip()
    return text or "skopeo was ended"


def _without_name(cause: str, reference: Reference) -> str:
    """Return a cause without the image's own name: a port, a repository or a tag may look like a status."""
    for name in (f"manifest {reference.tag} in", str(reference), reference.full_repository, reference.registry):
        cause = cause.replace(name, "")
    return cause


def _translated(reference: Reference, cause: str) -> str:
    """Return a failure as containerd tells it, with the true cause behind."""
    low = _without_name(cause, reference).lower()
    start = f'failed to pull and unpack image "{reference}": failed to resolve image: '
    if _NO_ARCHITECTURE in low:
        return f'failed to pull and unpack image "{reference}": no match for platform in manifest: not found: {cause}'
    if _FORBIDDEN.search(low):
        return f"{start}pull access denied, repository does not exist or may require authorization: {cause}"
    if _MISSING.search(low):
        return f"{start}{reference}: not found: {cause}"
    return f'failed to pull and unpack image "{reference}": {cause}'


def _contents(archive: Path, name: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return (skopeo's source, full names) of each image of an archive; the source is a link of another name to it."""
    kind, manifest = _kind_and_manifest(archive)
    if kind == "docker-archive":
        listed = [
            (f"docker-archive:{_ARCHIVE}:@{number}", one.get("RepoTags") or []) for number, one in enumerate(manifest)
        ]
    elif kind == "dir":
        listed = [(f"dir:{_ARCHIVE}", [])]
    else:
        annotation = "org.opencontainers.image.ref.name"
        full = "io.containerd.image.name"
        entries = manifest["manifests"]
        listed = []
        for entry in entries:
            notes = entry.get("annotations") or {}
            tag = notes.get(annotation, "")
            place = f"{kind}:{_ARCHIVE}:{tag}" if tag else f"{kind}:{_ARCHIVE}"
            listed.append((place, [one for one in (notes.get(full) or tag,) if one and ("/" in one or ":" in one)]))
    if name and len(listed) > 1:
        raise SandboxError(f"{archive} holds {len(listed)} images, so one name does not do", "leave --name out")
    try:
        return [
            (source, tuple(str(parse_reference(one)) for one in ([name] if name else names)))
            for source, names in _named(archive, listed, name)
        ]
    except InvalidReferenceError as error:
        raise SandboxError(f"{archive}: {error}", "name the image as repository:tag") from error


def _named(archive: Path, listed: list[tuple[str, list[str]]], name: str) -> list[tuple[str, list[str]]]:
    if not name and any(not names for _, names in listed):
        raise SandboxError(f"an image of {archive} has no name", "give it one with --name repository:tag")
    return listed


def _kind_and_manifest(archive: Path) -> tuple[str, Any]:
    """Return skopeo's word for an archive's format, and its list of images."""
    remedy = "make one by `docker save` or `skopeo copy`"
    try:
        if archive.is_dir():
            if (archive / "index.json").is_file():
                return "oci", json.loads((archive / "index.json").read_text())
            if (archive / "manifest.json").is_file():
                return "dir", None
            raise SandboxError(
                f"{archive} is no folder of an image: neither index.json nor manifest.json is in it", remedy
            )
        with tarfile.open(archive) as file:
            names = {member.removeprefix("./"): member for member in file.getnames()}
            for member, kind in (("manifest.json", "docker-archive"), ("index.json", "oci-archive")):
                if member in names:
                    extracted = file.extractfile(names[member])
                    assert extracted is not None
                    return kind, json.load(extracted)
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError, AssertionError) as error:
        raise SandboxError(f"{archive} is no archive of images: {error}", remedy) from error
    raise SandboxError(f"{archive} is no archive of images: neither manifest.json nor index.json is in it", remedy)
