"""Defaults of the small kinds of the core group: namespaces, secrets, endpoints, events, and of endpoint slices."""

import base64

from flametest.sandbox.objects import Object

__all__ = [
    "carry_namespace",
    "default_endpoint_slice",
    "default_endpoints",
    "default_event",
    "default_namespace",
    "default_secret",
    "prepare_namespace",
]


def prepare_namespace(namespace: Object) -> None:
    """Make a new namespace active and held until it is empty."""
    namespace["spec"] = {"finalizers": ["kubernetes"]}
    namespace["status"] = {"phase": "Active"}


def default_namespace(namespace: Object) -> None:
    """Label a namespace with its name."""
    labels = namespace["metadata"].setdefault("labels", {})
    labels.setdefault("kubernetes.io/metadata.name", namespace["metadata"]["name"])


def carry_namespace(new: Object, old: Object) -> None:
    """Keep the finalizers of the spec, which only the server changes."""
    new["spec"] = old["spec"]


def default_secret(secret: Object) -> None:
    """Give a secret its type and encode ``stringData``, which is written only, into ``data``."""
    secret.setdefault("type", "Opaque")
    plain = secret.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        secret["data"] = {**secret.get("data", {}), **encoded}


def default_endpoints(endpoints: Object) -> None:
    """Give the ports of endpoints their protocol."""
    for subset in endpoints.get("subsets", ()):
        for port in subset.get("ports", ()):
            port.setdefault("protocol", "TCP")


def default_endpoint_slice(endpoint_slice: Object) -> None:
    """Give the ports of an endpoint slice their name and protocol."""
    for port in endpoint_slice.get("ports", ()):
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def default_event(event: Object) -> None:
    """Fill in the fields of an event that the API always shows, null where there is no time."""
    for name in ("eventTime", "firstTimestamp", "lastTimestamp"):
        event.setdefault(name, None)
    event.setdefault("source", {})
    event.setdefault("reportingComponent", "")
    event.setdefault("reportingInstance", "")
