"""What is refused of pods and of pod templates."""

from collections.abc import Iterable, Iterator

from flametest.sandbox.apiserver.failures import (
    Cause,
    bad_value,
    duplicate,
    forbidden_value,
    missing_value,
    required,
    unsupported_value,
)
from flametest.sandbox.apiserver.validation.names import (
    check_enum,
    check_label_selector,
    check_labels,
    check_not_negative,
    check_port,
    dns_label,
)
from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import parse_quantity

__all__ = ["check_pod", "check_pod_update", "check_template"]

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_MUTABLE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check_template(template: Object, field: str, claims: Iterable[str] = ()) -> list[Cause]:
    """Return the faults of a pod template; ``claims`` are volumes that its workload adds to each pod."""
    labels = template.get("metadata", {}).get("labels", {})
    return check_labels(labels, f"{field}.metadata.labels") + _check_spec(template["spec"], f"{field}.spec", claims)


def check_pod(pod: Object) -> list[Cause]:
    """Return the faults of a pod."""
    return _check_spec(pod["spec"], "spec")


def _check_spec(spec: Object, field: str, claims: Iterable[str] = ()) -> list[Cause]:
    volumes = {volume.get("name", "") for volume in spec.get("volumes", ())} | set(claims)
    causes = list(_check_volumes(spec.get("volumes", []), f"{field}.volumes"))
    if not spec.get("containers"):
        causes.append(required(f"{field}.containers"))
    names: set[str] = set()
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(kind, ())):
            path = f"{field}.{kind}[{index}]"
            causes += _check_container(container, path, volumes, names)
            if kind == "initContainers" and container.get("restartPolicy") != "Always":
                causes += [
                    forbidden_value(
                        f"{path}.{probe}", "may not be set for init containers without restartPolicy=Always"
                    )
                    for probe in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
                    if probe in container
                ]
    causes += check_enum(spec.get("restartPolicy"), f"{field}.restartPolicy", ("Always", "OnFailure", "Never"))
    policies = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
    causes += check_enum(spec.get("dnsPolicy"), f"{field}.dnsPolicy", policies)
    causes += check_not_negative(spec, "terminationGracePeriodSeconds", field)
    causes += check_labels(spec.get("nodeSelector", {}), f"{field}.nodeSelector")
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            causes += [bad_value(f"{field}.{name}", spec[name], message) for message in dns_label(spec[name])]
    causes += _check_spread(spec.get("topologySpreadConstraints", []), f"{field}.topologySpreadConstraints")
    return causes + _check_tolerations(spec.get("tolerations", []), f"{field}.tolerations")


def _check_volumes(volumes: list[Object], field: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        name, path = volume.get("name", ""), f"{field}[{index}]"
        if not name:
            yield required(f"{path}.name")
        elif name in seen:
            yield duplicate(f"{path}.name", name)
        else:
            yield from (bad_value(f"{path}.name", name, message) for message in dns_label(name))
        seen.add(name)
        sources = [key for key in volume if key != "name"]
        if len(sources) > 1:
            yield forbidden_value(f"{path}.{sources[1]}", "may not specify more than 1 volume type")
        yield from _check_source(volume, path)


def _check_source(volume: Object, path: str) -> Iterator[Cause]:
    if "configMap" in volume and not volume["configMap"].get("name"):
        yield required(f"{path}.configMap.name")
    if "secret" in volume and not volume["secret"].get("secretName"):
        yield required(f"{path}.secret.secretName")
    if "persistentVolumeClaim" in volume and not volume["persistentVolumeClaim"].get("claimName"):
        yield required(f"{path}.persistentVolumeClaim.claimName")


def _check_container(container: Object, path: str, volumes: set[str], names: set[str]) -> Iterator[Cause]:
    name = container.get("name", "")
    if not name:
        yield required(f"{path}.name")
    elif name in names:
        yield duplicate(f"{path}.name", name)
    else:
        yield from (bad_value(f"{path}.name", name, message) for message in dns_label(name))
    names.add(name)
    if not container.get("image"):
        yield required(f"{path}.image")
    elif container["image"] != container["image"].strip():
        yield bad_value(f"{path}.image", container["image"], "must not have leading or trailing whitespace")
    yield from check_enum(
        container.get("imagePullPolicy", "IfNotPresent"), f"{path}.imagePullPolicy", ("Always", "IfNotPresent", "Never")
    )
    yield from _check_ports(container.get("ports", []), f"{path}.ports")
    yield from _check_environment(container.get("env", []), f"{path}.env")
    yield from _check_mounts(container.get("volumeMounts", []), f"{path}.volumeMounts", volumes)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            yield from _check_probe(container[probe], f"{path}.{probe}", probe != "readinessProbe")
    for event in ("postStart", "preStop"):
        handler = container.get("lifecycle", {}).get(event)
        if handler is not None:
            yield from _check_handler(handler, f"{path}.lifecycle.{event}", (*_HANDLERS, "sleep"))
    yield from _check_resources(container.get("resources", {}), f"{path}.resources")


def _check_ports(ports: list[Object], field: str) -> Iterator[Cause]:
    names: set[str] = set()
    for index, port in enumerate(ports):
        path = f"{field}[{index}]"
        if not port.get("containerPort"):
            yield required(f"{path}.containerPort")
        else:
            yield from check_port(port["containerPort"], f"{path}.containerPort")
        yield from check_enum(port.get("protocol"), f"{path}.protocol", ("SCTP", "TCP", "UDP"))
        name = port.get("name")
        if name:
            yield from check_port(name, f"{path}.name")
            if name in names:
                yield duplicate(f"{path}.name", name)
            names.add(name)


def _check_environment(variables: list[Object], field: str) -> Iterator[Cause]:
    for index, variable in enumerate(variables):
        path, name = f"{field}[{index}]", variable.get("name", "")
        if not name:
            yield required(f"{path}.name")
        elif "=" in name:
            yield bad_value(f"{path}.name", name, "a valid environment variable name must not contain '='")
        if "valueFrom" in variable:
            if variable.get("value"):
                yield bad_value(f"{path}.valueFrom", "", "may not be specified when `value` is not empty")
            if len(variable["valueFrom"]) != 1:
                yield bad_value(f"{path}.valueFrom", "", "must specify exactly one of its sources")


def _check_mounts(mounts: list[Object], field: str, volumes: set[str]) -> Iterator[Cause]:
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        path, name = f"{field}[{index}]", mount.get("name", "")
        if not name:
            yield required(f"{path}.name")
        elif name not in volumes:
            yield missing_value(f"{path}.name", name)
        target = mount.get("mountPath", "")
        if not target:
            yield required(f"{path}.mountPath")
        elif target in paths:
            yield bad_value(f"{path}.mountPath", target, "must be unique")
        paths.add(target)
        if ".." in mount.get("subPath", "").split("/") or mount.get("subPath", "").startswith("/"):
            yield bad_value(f"{path}.subPath", mount["subPath"], "must be a relative path that does not contain '..'")


def _check_probe(probe: Object, path: str, success_once: bool) -> Iterator[Cause]:
    yield from _check_handler(probe, path, _HANDLERS)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        yield from check_not_negative(probe, name, path)
    if success_once and probe.get("successThreshold", 1) != 1:
        yield bad_value(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _check_handler(handler: Object, path: str, kinds: tuple[str, ...]) -> Iterator[Cause]:
    present = [kind for kind in kinds if kind in handler]
    if not present:
        yield required(path, "must specify a handler type")
    for kind in present[1:]:
        yield forbidden_value(f"{path}.{kind}", "may not specify more than 1 handler type")
    for kind in ("httpGet", "tcpSocket"):
        if kind in handler:
            yield from check_port(handler[kind].get("port", 0), f"{path}.{kind}.port")
    if "httpGet" in handler:
        yield from check_enum(handler["httpGet"].get("scheme"), f"{path}.httpGet.scheme", ("HTTP", "HTTPS"))
    if "exec" in handler and not handler["exec"].get("command"):
        yield required(f"{path}.exec.command")


def _check_resources(resources: Object, path: str) -> Iterator[Cause]:
    limits = resources.get("limits", {})
    for name, request in resources.get("requests", {}).items():
        if name in limits and parse_quantity(request) > parse_quantity(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            yield bad_value(f"{path}.requests", request, detail)
    for kind in ("limits", "requests"):
        for name, quantity in resources.get(kind, {}).items():
            if parse_quantity(quantity) < 0:
                yield bad_value(f"{path}.{kind}[{name}]", quantity, "must be greater than or equal to 0")


def _check_spread(constraints: list[Object], field: str) -> list[Cause]:
    causes = []
    for index, constraint in enumerate(constraints):
        path = f"{field}[{index}]"
        if constraint.get("maxSkew", 0) <= 0:
            causes.append(bad_value(f"{path}.maxSkew", constraint.get("maxSkew", 0), "must be greater than zero"))
        if not constraint.get("topologyKey"):
            causes.append(required(f"{path}.topologyKey", "can not be empty"))
        wanted = constraint.get("whenUnsatisfiable", "")
        if wanted not in ("DoNotSchedule", "ScheduleAnyway"):
            supported = ("DoNotSchedule", "ScheduleAnyway")
            causes.append(unsupported_value(f"{path}.whenUnsatisfiable", wanted, supported))
        causes += check_label_selector(constraint.get("labelSelector", {}), f"{path}.labelSelector")
    return causes


def _check_tolerations(tolerations: list[Object], field: str) -> list[Cause]:
    causes = []
    for index, toleration in enumerate(tolerations):
        path = f"{field}[{index}]"
        operator = toleration.get("operator", "Equal")
        if not toleration.get("key") and operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            causes.append(bad_value(f"{path}.operator", operator, detail))
        supported = ("", "NoSchedule", "PreferNoSchedule", "NoExecute")
        if toleration.get("effect", "") not in supported:
            causes.append(unsupported_value(f"{path}.effect", toleration["effect"], supported[1:]))
    return causes


def check_pod_update(new: Object, old: Object) -> list[Cause]:
    """Return the fault of a change to a pod's spec other than of images, deadline and added tolerations."""
    if _fixed_part(new["spec"]) == _fixed_part(old["spec"]):
        return []
    return [forbidden_value("spec", _MUTABLE_TEXT)]


def _fixed_part(spec: Object) -> Object:
    fixed = {key: value for key, value in spec.items() if key not in ("activeDeadlineSeconds", "tolerations")}
    for kind in ("containers", "initContainers"):
        if kind in fixed:
            fixed[kind] = [{k: v for k, v in container.items() if k != "image"} for container in fixed[kind]]
    return fixed
