"""What is refused of config maps, secrets, events, endpoints and endpoint slices."""

import base64
import binascii
import ipaddress

from flametest.sandbox.apiserver.failures import Cause, bad_value, forbidden_value, required
from flametest.sandbox.apiserver.validation.names import check_enum, check_port, config_key
from flametest.sandbox.objects import Object

__all__ = [
    "check_config_map",
    "check_data_update",
    "check_endpoint_slice",
    "check_endpoints",
    "check_event",
    "check_secret",
    "check_secret_update",
]

DATA_BYTES_MAX = 1024 * 1024


def _check_size(total_bytes: int) -> list[Cause]:
    if total_bytes <= DATA_BYTES_MAX:
        return []
    return [Cause("", "FieldValueTooLong", f"Too long: may not be more than {DATA_BYTES_MAX} bytes")]


def check_config_map(config_map: Object) -> list[Cause]:
    """Return the faults of a config map: its keys and its size."""
    causes, total = [], 0
    for name in ("data", "binaryData"):
        for key, value in config_map.get(name, {}).items():
            causes += [bad_value(f"{name}[{key}]", key, message) for message in config_key(key)]
            total += len(value)
    return causes + _check_size(total)


def check_secret(secret: Object) -> list[Cause]:
    """Return the faults of a secret: its keys, its encoding, its size, and what its type demands."""
    causes, total = [], 0
    data = secret.get("data", {})
    for key, value in data.items():
        causes += [bad_value(f"data[{key}]", key, message) for message in config_key(key)]
        try:
            total += len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            causes.append(bad_value(f"data[{key}]", "<secret>", "must be encoded as base64"))
    if secret["type"] == "kubernetes.io/tls":
        causes += [required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]
    return causes + _check_size(total)


def check_data_update(new: Object, old: Object) -> list[Cause]:
    """Return the faults of a change to a config map or secret that is immutable."""
    if not old.get("immutable"):
        return []
    detail = "field is immutable when `immutable` is set"
    changed = [name for name in ("data", "binaryData", "immutable") if new.get(name) != old.get(name)]
    return [forbidden_value(name, detail) for name in changed]


def check_secret_update(new: Object, old: Object) -> list[Cause]:
    """Return the faults of a change to a secret: its type stays."""
    causes = check_data_update(new, old)
    if new["type"] != old["type"]:
        causes.append(bad_value("type", new["type"], "field is immutable"))
    return causes


def check_event(event: Object) -> list[Cause]:
    """Return the fault of an event about an object of another namespace."""
    about = event.get("involvedObject", {}).get("namespace", "")
    namespace = event["metadata"].get("namespace", "")
    if about in ("", namespace):
        return []
    return [bad_value("involvedObject.namespace", about, "does not match event.namespace")]


def _check_address(value: str, field: str) -> list[Cause]:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return [bad_value(field, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
    return []


def check_endpoints(endpoints: Object) -> list[Cause]:
    """Return the faults of endpoints: addresses and ports."""
    causes: list[Cause] = []
    for number, subset in enumerate(endpoints.get("subsets", ())):
        path = f"subsets[{number}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            causes.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for kind in ("addresses", "notReadyAddresses"):
            for index, address in enumerate(subset.get(kind, ())):
                causes += _check_address(address.get("ip", ""), f"{path}.{kind}[{index}].ip")
        for index, port in enumerate(subset.get("ports", ())):
            causes += check_port(port.get("port", 0), f"{path}.ports[{index}].port")
    return causes


def check_endpoint_slice(endpoint_slice: Object) -> list[Cause]:
    """Return the faults of an endpoint slice: its address type and addresses."""
    kinds = ("IPv4", "IPv6", "FQDN")
    kind = endpoint_slice.get("addressType", "")
    causes = check_enum(kind, "addressType", kinds)
    for number, endpoint in enumerate(endpoint_slice.get("endpoints", ())):
        if not endpoint.get("addresses"):
            causes.append(required(f"endpoints[{number}].addresses", "must contain at least 1 address"))
        if kind != "FQDN":
            for index, address in enumerate(endpoint.get("addresses", ())):
                causes += _check_address(address, f"endpoints[{number}].addresses[{index}]")
    return causes
