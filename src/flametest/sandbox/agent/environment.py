"""The environment and the command line of a container. Pure but for the objects that it reads.

Order and precedence are the kubelet's: the image, then variables of Services, then envFrom, then env, each over the
one before; ``$(NAME)`` is expanded from what is already known, ``$$(NAME)`` stays as ``$(NAME)``.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flametest.sandbox.agent.fields import field_value, resource_value
from flametest.sandbox.images.image import Image
from flametest.sandbox.objects import Object, Objects

__all__ = ["ConfigError", "PodContext", "command_line", "environment_of", "expand", "hostname_of", "service_variables"]

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


class ConfigError(Exception):
    """A container refers to something that is not there; it waits with CreateContainerConfigError."""


@dataclass(frozen=True, slots=True)
class PodContext:
    """Where a container's environment comes from.

    Attributes:
        pod: the pod's object.
        objects: the cluster, for ConfigMaps, Secrets and Services.
        addresses: ``status.podIP``, ``status.hostIP`` and the like.
        capacity: of the node, for figures without a limit.
    """

    pod: Object
    objects: Objects
    addresses: dict[str, str]
    capacity: dict[str, str]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with each ``$(NAME)`` that is known replaced."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def command_line(container: Object, image: Image, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return what is run: ``command`` replaces the image's entrypoint and command, ``args`` its command only.

    Raises:
        ConfigError: there is nothing to run.
    """
    command: list[str] | None = container.get("command")
    arguments: list[str] | None = container.get("args")
    line = [*command, *(arguments or [])] if command else [*image.entrypoint, *(arguments or image.command)]
    if not line:
        raise ConfigError(f"container {container['name']}: no command specified")
    return tuple(expand(part, variables) for part in line)


def environment_of(context: PodContext, container: Object, image: Image) -> dict[str, str]:
    """Return a container's variables.

    Raises:
        ConfigError: a ConfigMap, Secret, key or field is not there.
    """
    variables = dict(image.environment)
    variables["HOSTNAME"] = hostname_of(context.pod)
    variables.update(_services(context))
    for source in container.get("envFrom") or []:
        variables.update(_from(context, source))
    for entry in container.get("env") or []:
        value = _value(context, container, entry, variables)
        if value is not None:
            variables[entry["name"]] = value
    variables.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    variables.setdefault("HOME", image.home)
    return variables


def hostname_of(pod: Object) -> str:
    """Return the host name that the pod's containers see."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def service_variables(services: Iterable[Object]) -> dict[str, str]:
    """Return the variables by which containers find Services, as container links once had them."""
    variables: dict[str, str] = {}
    for service in services:
        address = service["spec"].get("clusterIP", "")
        ports = service["spec"].get("ports") or []
        if not address or address == "None" or not ports:
            continue
        name = str(service["metadata"]["name"]).upper().replace("-", "_")
        variables[f"{name}_SERVICE_HOST"] = address
        variables[f"{name}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                variables[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        for number, port in enumerate(ports):
            protocol = str(port.get("protocol", "TCP"))
            url = f"{protocol.lower()}://{address}:{port['port']}"
            if number == 0:
                variables[f"{name}_PORT"] = url
            prefix = f"{name}_PORT_{port['port']}_{protocol}"
            variables[prefix] = url
            variables[f"{prefix}_PROTO"] = protocol.lower()
            variables[f"{prefix}_PORT"] = str(port["port"])
            variables[f"{prefix}_ADDR"] = address
    return variables


def _services(context: PodContext) -> dict[str, str]:
    namespace = context.pod["metadata"]["namespace"]
    found = []
    master = context.objects.get("services", "default", "kubernetes")
    if master is not None:
        found.append(master)
    if context.pod["spec"].get("enableServiceLinks", True):
        found += context.objects.list("services", namespace)
    return service_variables(found)


def _from(context: PodContext, source: Object) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for key, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
        if key in source:
            data = _data(context, resource, source[key]["name"], bool(source[key].get("optional")))
            return {prefix + name: value for name, value in (data or {}).items()}
    return {}


def _value(context: PodContext, container: Object, entry: Object, variables: Mapping[str, str]) -> str | None:
    """Return the value of one variable, or None when it is optional and its source is missing."""
    source = entry.get("valueFrom")
    if source is None:
        return expand(str(entry.get("value", "")), variables)
    try:
        if "fieldRef" in source:
            return field_value(context.pod, source["fieldRef"]["fieldPath"], context.addresses)
        if "resourceFieldRef" in source:
            wanted = source["resourceFieldRef"]
            divisor = str(wanted.get("divisor", "1"))
            return resource_value(container, wanted["resource"], divisor, context.capacity)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    for key, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if key in source:
            return _key(context, resource, source[key])
    return None


def _key(context: PodContext, resource: str, reference: Object) -> str | None:
    optional = bool(reference.get("optional"))
    data = _data(context, resource, reference["name"], optional)
    if data is None:
        return None
    if reference["key"] not in data:
        if optional:
            return None
        kind = "ConfigMap" if resource == "configmaps" else "Secret"
        place = f"{context.pod['metadata']['namespace']}/{reference['name']}"
        raise ConfigError(f"couldn't find key {reference['key']} in {kind} {place}")
    return data[reference["key"]]


def _data(context: PodContext, resource: str, name: str, optional: bool) -> dict[str, str] | None:
    found = context.objects.get(resource, context.pod["metadata"]["namespace"], name)
    if found is None:
        if optional:
            return None
        kind = "configmap" if resource == "configmaps" else "secret"
        raise ConfigError(f'{kind} "{name}" not found')
    data = dict(found.get("data") or {})
    if resource == "secrets":
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
    return data
