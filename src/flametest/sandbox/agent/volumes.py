"""Volumes of a pod as folders of the machine.

ConfigMaps, Secrets, the downward API and projections of them are written the way the kubelet does it: the files are
in a folder with a time in its name, ``..data`` points to it, and each name is a link through ``..data``; an update
makes a new folder and moves the link in one step, so a container never sees half of it. An emptyDir lies in the pod's
folder and goes with it; a claim's folder is named by the claim's uid and survives pods.
"""

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flametest.sandbox.agent.claimdisks import own_size
from flametest.sandbox.agent.environment import PodContext
from flametest.sandbox.agent.fields import field_value, resource_value
from flametest.sandbox.objects import Object
from flametest.sandbox.tokens import ServiceAccountTokens, TokenOwner

__all__ = ["Volume", "VolumeError", "Volumes", "payload_of", "write_atomically"]


# A node's disk is empty at first, so a folder that has to be there is made like one that may be made.
_FOLDER_TYPES = ("", "Directory", "DirectoryOrCreate")


class VolumeError(Exception):
    """A volume cannot be made yet; the pod waits with a FailedMount event."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that is there: its folder, and whether containers may write to it."""

    folder: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    mode: int


@dataclass(slots=True)
class Volumes:
    """The volumes of one pod, made and kept up to date by its worker.

    Attributes:
        folder: of the pod, on the machine.
        claims_folder: where all claims of the sandbox are.
        node_folder: what stands for the disk of the pod's node: paths of hostPath volumes lie below it.
        tokens: issues projected service account tokens; None where no pod asks for any.
        certificate: of the API server.
    """

    folder: str
    claims_folder: str
    node_folder: str
    tokens: ServiceAccountTokens | None = None
    certificate: str = ""
    made: dict[str, Volume] = field(default_factory=dict)
    _token: str = ""
    _payloads: dict[str, dict[str, _File]] = field(default_factory=dict)

    def make(self, context: PodContext) -> None:
        """Make every volume of the pod that is not there yet, and renew the contents of those that have any.

        Raises:
            VolumeError: something that a volume needs is missing.
        """
        for volume in context.pod["spec"].get("volumes") or []:
            try:
                self._make(context, volume)
            except VolumeError as error:
                raise VolumeError(f'"{volume["name"]}" : {error}') from error

    def own_filesystems(self, context: PodContext) -> list[tuple[str, int]]:
        """Return the folder of each claim that is to have a file system of its own, and how large; see `claimdisks`."""
        found = []
        for volume in context.pod["spec"].get("volumes") or []:
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            claim = context.objects.get("persistentvolumeclaims", context.pod["metadata"]["namespace"], str(name))
            if name and claim is not None and (size := own_size(claim)):
                found.append((self._claim_folder(claim), size))
        return found

    def _make(self, context: PodContext, volume: Object) -> None:
        name = volume["name"]
        folder = os.path.join(self.folder, "volumes", name)
        if "persistentVolumeClaim" in volume:
            self.made[name] = self._claim(context, volume["persistentVolumeClaim"])
        elif "emptyDir" in volume or len(volume) == 1:
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, 0o777)  # noqa: S103 - as the kubelet makes it
            self.made[name] = Volume(folder, False)
        elif "hostPath" in volume:
            self.made[name] = self._host_path(volume["hostPath"])
        else:
            payload = payload_of(context, volume, self._token_of(context), self.certificate)
            if self._payloads.get(name) != payload:
                write_atomically(folder, payload)
                self._payloads[name] = payload
            self.made[name] = Volume(folder, True)

    def _host_path(self, source: Object) -> Volume:
        """Return a folder of the simulated node; nothing of this machine is shown to a pod."""
        kind = str(source.get("type") or "")
        if kind not in _FOLDER_TYPES:
            raise VolumeError(f"hostPath type {kind} is not offered by the sandbox, whose nodes have folders only")
        folder = os.path.join(self.node_folder, os.path.normpath(f"/{source['path']}").lstrip("/"))
        if not os.path.isdir(folder):
            os.makedirs(folder)
            os.chmod(folder, 0o777)  # noqa: S103 - for whatever user the pod runs as
        return Volume(folder, False)

    def _token_of(self, context: PodContext) -> Callable[[], str]:
        """Return what gives the token of the pod's service account: the same one for as long as the pod lives."""

        def token() -> str:
            if not self._token:
                self._token = self._issued(context)
            return self._token

        return token

    def _issued(self, context: PodContext) -> str:
        namespace = str(context.pod["metadata"]["namespace"])
        name = str(context.pod["spec"].get("serviceAccountName") or "default")
        account = context.objects.get("serviceaccounts", namespace, name)
        if account is None or self.tokens is None:
            raise VolumeError(f'failed to fetch token: serviceaccounts "{name}" not found')
        return self.tokens.issue(TokenOwner(namespace, name, str(account["metadata"]["uid"])))

    def _claim_folder(self, claim: Object) -> str:
        return os.path.join(self.claims_folder, str(claim["metadata"]["uid"]))

    def _claim(self, context: PodContext, source: Object) -> Volume:
        name = source["claimName"]
        claim = context.objects.get("persistentvolumeclaims", context.pod["metadata"]["namespace"], name)
        if claim is None:
            raise VolumeError(f'persistentvolumeclaim "{name}" not found')
        if (claim.get("status") or {}).get("phase") != "Bound":
            raise VolumeError(f'persistentvolumeclaim "{name}" is not bound')
        folder = self._claim_folder(claim)
        if not os.path.isdir(folder):
            os.makedirs(folder)
            os.chmod(folder, 0o777)  # noqa: S103 - for whatever user the pod runs as
        return Volume(folder, bool(source.get("readOnly")))


def payload_of(context: PodContext, volume: Object, token: Callable[[], str], certificate: str) -> dict[str, _File]:
    """Return the files of a volume by their path in it.

    Raises:
        VolumeError: a source is missing or of a kind that the sandbox does not have.
    """
    if "projected" not in volume:
        return dict(_source(context, volume, _mode(volume), token, certificate))
    default = int(volume["projected"].get("defaultMode", 0o644))
    files: dict[str, _File] = {}
    for source in volume["projected"].get("sources") or []:
        files.update(_source(context, source, default, token, certificate))
    return files


def write_atomically(folder: str, files: dict[str, _File]) -> None:
    """Make the folder show exactly these files, replacing what it showed before in one step."""
    os.makedirs(folder, exist_ok=True)
    data = os.path.join(folder, "..data")
    before = os.readlink(data) if os.path.islink(data) else ""
    serial = int(before.rpartition("_")[2]) + 1 if before else 0
    fresh = f"..version_{serial}"
    for path, file in files.items():
        target = os.path.join(folder, fresh, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as out:
            out.write(file.data)
        os.chmod(target, file.mode)
    os.makedirs(os.path.join(folder, fresh), exist_ok=True)
    os.symlink(fresh, data + "_tmp")
    os.replace(data + "_tmp", data)
    wanted = {path.split("/")[0] for path in files}
    for name in wanted:
        if not os.path.lexists(os.path.join(folder, name)):
            os.symlink(f"..data/{name}", os.path.join(folder, name))
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        # What is no link is a place for what is mounted below the volume.
        if not name.startswith("..") and name not in wanted and os.path.islink(path):
            os.unlink(path)
    if before:
        shutil.rmtree(os.path.join(folder, before), ignore_errors=True)


def _mode(volume: Object) -> int:
    for key in ("configMap", "secret", "downwardAPI"):
        if key in volume:
            return int(volume[key].get("defaultMode", 0o644))
    return 0o644


def _source(
    context: PodContext, source: Object, default: int, token: Callable[[], str], certificate: str
) -> Iterator[tuple[str, _File]]:
    """Yield the files of a volume, or of one source of a projected volume."""
    if "configMap" in source:
        yield from _keys(context, "configmaps", source["configMap"], default)
    elif "secret" in source:
        yield from _keys(context, "secrets", source["secret"], default)
    elif "downwardAPI" in source:
        for item in source["downwardAPI"].get("items") or []:
            text = _downward(context, item)
            yield _inside(item["path"]), _File(text.encode(), int(item.get("mode", default)))
    elif "serviceAccountToken" in source:
        yield _inside(source["serviceAccountToken"]["path"]), _File(token().encode(), 0o600)
    elif "clusterTrustBundle" in source:
        yield _inside(source["clusterTrustBundle"]["path"]), _File(certificate.encode(), default)
    else:
        kinds = ", ".join(sorted(key for key in source if key != "name"))
        raise VolumeError(f"the sandbox has no volumes of kind {kinds}")


def _keys(context: PodContext, resource: str, source: Object, default: int) -> Iterator[tuple[str, _File]]:
    name = source.get("name") or source.get("secretName")
    namespace = context.pod["metadata"]["namespace"]
    found = context.objects.get(resource, namespace, str(name))
    if found is None:
        if source.get("optional"):
            return
        kind = "configmap" if resource == "configmaps" else "secret"
        raise VolumeError(f'{kind} "{name}" not found')
    data = _decoded(found, resource)
    items = source.get("items")
    if items is None:
        for key, content in data.items():
            yield _inside(key), _File(content, default)
        return
    for item in items:
        if item["key"] in data:
            yield _inside(item["path"]), _File(data[item["key"]], int(item.get("mode", default)))
        elif not source.get("optional"):
            raise VolumeError(f"references non-existent config key: {item['key']}")


def _decoded(found: Object, resource: str) -> dict[str, bytes]:
    if resource == "secrets":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    data = {key: str(value).encode() for key, value in (found.get("data") or {}).items()}
    data.update({key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()})
    return data


def _downward(context: PodContext, item: Object) -> str:
    try:
        if "fieldRef" in item:
            return field_value(context.pod, item["fieldRef"]["fieldPath"], context.addresses)
        wanted = item["resourceFieldRef"]
        spec = context.pod["spec"]
        for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
            if container["name"] == wanted.get("containerName"):
                return resource_value(container, wanted["resource"], str(wanted.get("divisor", "1")), context.capacity)
    except ValueError as error:
        raise VolumeError(str(error)) from error
    raise VolumeError(f"no container {wanted.get('containerName')!r} for a resource of the downward API")


def _inside(path: str) -> str:
    """Return a path that stays below the volume's folder."""
    clean = os.path.normpath(path)
    if os.path.isabs(clean) or clean.startswith(".."):
        raise VolumeError(f"path {path!r} of a volume leads out of it")
    return clean
