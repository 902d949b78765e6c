"""The pods of a workload from their JSON object: containers, the texts that they are given, and what they need. Pure.

Format: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from collections.abc import Iterator, Mapping

from flametest.starter.fields import Object, part, parts
from flametest.starter.hostkeys import is_for_people, is_host_key
from flametest.starter.system import Container, Port, Probe, Reference, Setting

__all__ = ["aliases", "containers", "host_paths", "references", "settings", "written_claims"]

# Where a node keeps what is the node's own; who mounts it looks on.
_NODE_FOLDERS = ("/var/run", "/run", "/var/log", "/var/lib/docker", "/proc", "/sys", "/dev", "/etc")
# By which the console of OpenShift draws who asks whom; other annotations count whose names ask for a host.
_ANNOTATION_CONNECTS = "app.openshift.io/connects-to"
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


def containers(pod: Object) -> tuple[Container, ...]:
    """Return the containers of a pod, and init containers that go on running beside them (native sidecars).

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    sidecars = [one for one in parts(pod, "initContainers") if one.get("restartPolicy") == "Always"]
    return tuple(_container(one) for one in (*parts(pod, "containers"), *sidecars))


def settings(pod: Object, annotations: Mapping[str, str]) -> tuple[Setting, ...]:
    """Return the texts that a pod's containers are given, init containers first, since they run first."""
    return (
        *(one for told, obj in _all_containers(pod) for one in _settings(told, obj)),
        *(
            Setting(f"annotation {key}", "hosts" if key == _ANNOTATION_CONNECTS else name, text)
            for key, text in annotations.items()
            for name in [key.rpartition("/")[2]]
            if key == _ANNOTATION_CONNECTS or (is_host_key(name) and not is_for_people(name))
        ),
    )


def references(pod: Object) -> tuple[Reference, ...]:
    """Return the objects that have to be there for a pod to start."""
    return (*_accounts(pod), *_volumes(pod), *_variables(pod))


def aliases(pod: Object) -> frozenset[str]:
    """Return the host names that a pod knows beside DNS."""
    listed = [one.get("hostnames") for one in parts(pod, "hostAliases")]
    return frozenset(str(name) for names in listed if isinstance(names, list) for name in names)


def written_claims(pod: Object) -> tuple[str, ...]:
    """Return the names of the claims that a pod mounts and may write."""
    return tuple(_written(pod, "persistentVolumeClaim", "claimName"))


def host_paths(pod: Object) -> tuple[str, ...]:
    """Return the folders of the node that a pod mounts and may write, without the node's own."""
    return tuple(path for path in _written(pod, "hostPath", "path") if not path.startswith(_NODE_FOLDERS))


def _all_containers(pod: Object) -> Iterator[tuple[str, Object]]:
    """Yield all containers, each with the words by which it is told."""
    for key, told in (("initContainers", "init container"), ("containers", "container")):
        for one in parts(pod, key):
            name = one.get("name")
            yield f"{told} {name if isinstance(name, str) else ''}".rstrip(), one


def _container(obj: Object) -> Container:
    name, resources = obj.get("name"), part(obj, "resources")
    return Container(
        name=name if isinstance(name, str) else "",
        image=str(obj.get("image") or ""),
        ports=tuple(Port(str(one.get("name") or ""), int(one["containerPort"])) for one in parts(obj, "ports")),
        readiness=_probe(obj.get("readinessProbe")),
        liveness=_probe(obj.get("livenessProbe")),
        # What is only limited requests as much as its limit.
        requests=frozenset(part(resources, "requests")) | frozenset(part(resources, "limits")),
        has_pre_stop=bool(part(part(obj, "lifecycle"), "preStop")),
    )


def _probe(obj: object) -> Probe | None:
    if not isinstance(obj, Mapping) or not obj:
        return None
    asked, opened = part(obj, "httpGet"), part(obj, "tcpSocket") or part(obj, "grpc")
    return Probe(
        path=str(asked.get("path") or "/") if asked else "",
        port=str(asked.get("port") or opened.get("port") or ""),
        host=str(asked.get("host") or opened.get("host") or ""),
        command=_words(part(obj, "exec").get("command")),
    )


def _settings(told: str, obj: Object) -> Iterator[Setting]:
    for variable in parts(obj, "env"):
        if isinstance(variable.get("value"), str) and variable["value"]:
            name = str(variable.get("name"))
            yield Setting(f"{told}, env {name}", name, variable["value"])
    # Together, since an option may be in the one and what it is set to in the other.
    line = " ".join(filter(None, (_words(obj.get("command")), _words(obj.get("args")))))
    if line:
        yield Setting(f"{told}, {'command' if obj.get('command') else 'args'}", "", line, is_command=True)
    for key, handler in [(key, part(obj, key)) for key in _PROBES] + [
        (f"lifecycle.{key}", part(part(obj, "lifecycle"), key)) for key in ("postStart", "preStop")
    ]:
        if words := _words(part(handler, "exec").get("command")):
            yield Setting(f"{told}, {key}", "", words, is_command=True)
        for ask in ("httpGet", "tcpSocket"):
            if host := part(handler, ask).get("host"):
                yield Setting(f"{told}, {key}.{ask}.host", "host", str(host))


def _accounts(pod: Object) -> Iterator[Reference]:
    if name := pod.get("serviceAccountName") or pod.get("serviceAccount"):
        yield Reference("ServiceAccount", str(name), "serviceAccountName")


def _volumes(pod: Object) -> Iterator[Reference]:
    only = _mounted_keys(pod)
    for volume in parts(pod, "volumes"):
        name = str(volume.get("name") or "")
        if claim := part(volume, "persistentVolumeClaim").get("claimName"):
            yield Reference("PersistentVolumeClaim", str(claim), f"volume {name}")
        for source in (volume, *parts(part(volume, "projected"), "sources")):
            for kind, key, named in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
                found = part(source, key)
                if target := found.get(named) or found.get("name"):
                    chosen = tuple(str(one.get("key")) for one in parts(found, "items")) or only.get(name, ())
                    optional = bool(found.get("optional"))
                    yield Reference(kind, str(target), f"volume {name}", chosen, is_files=True, is_optional=optional)


def _mounted_keys(pod: Object) -> dict[str, tuple[str, ...]]:
    """Return the keys that are mounted one by one, by ``subPath``, by volume; a volume mounted as a whole has none."""
    paths: dict[str, list[str]] = {}
    for _, container in _all_containers(pod):
        for mount in parts(container, "volumeMounts"):
            paths.setdefault(str(mount.get("name")), []).append(str(mount.get("subPath") or ""))
    return {name: tuple(found) for name, found in paths.items() if all(found)}


def _variables(pod: Object) -> Iterator[Reference]:
    for told, container in _all_containers(pod):
        for source in parts(container, "envFrom"):
            for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                found = part(source, key)
                if found.get("name"):
                    optional = bool(found.get("optional"))
                    field, prefix = f"{told}, envFrom", str(source.get("prefix") or "")
                    yield Reference(kind, str(found["name"]), field, prefix=prefix, is_optional=optional)
        for variable in parts(container, "env"):
            for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
                found = part(part(variable, "valueFrom"), key)
                if found.get("name"):
                    name, chosen = str(variable.get("name")), (str(found.get("key")),)
                    yield Reference(
                        kind,
                        str(found["name"]),
                        f"{told}, env {name}",
                        chosen,
                        variable=name,
                        is_optional=bool(found.get("optional")),
                    )


def _written(pod: Object, source: str, key: str) -> Iterator[str]:
    """Yield what the volumes of one kind are made of that a container mounts and may write."""
    written = {
        str(mount.get("name"))
        for _, container in _all_containers(pod)
        for mount in parts(container, "volumeMounts")
        if not mount.get("readOnly")
    }
    for volume in parts(pod, "volumes"):
        found = part(volume, source)
        if found.get(key) and not found.get("readOnly") and str(volume.get("name")) in written:
            yield str(found[key])


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else ""
