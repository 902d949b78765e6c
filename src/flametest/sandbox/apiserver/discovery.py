"""Discovery: the documents by which clients learn which resources there are. All are made from what is served."""

from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.apiserver.served import Served
from flametest.sandbox.objects import Object

__all__ = ["VERSION", "api_versions", "group", "group_versions", "groups", "resource_list", "version_info"]

VERSION = "v1.36.2"
"""The Kubernetes release whose behaviour the sandbox follows."""

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

_SUBRESOURCES: dict[str, Object] = {
    "binding": {"kind": "Binding", "verbs": ["create"]},
    "eviction": {"kind": "Eviction", "group": "policy", "version": "v1", "verbs": ["create"]},
    "exec": {"kind": "PodExecOptions", "verbs": ["create", "get"]},
    "log": {"kind": "Pod", "verbs": ["get"]},
    "portforward": {"kind": "PodPortForwardOptions", "verbs": ["create", "get"]},
    "proxy": {"verbs": ["create", "delete", "get", "patch", "update"]},
    "token": {"kind": "TokenRequest", "group": "authentication.k8s.io", "version": "v1", "verbs": ["create"]},
    "scale": {"kind": "Scale", "group": "autoscaling", "version": "v1", "verbs": ["get", "patch", "update"]},
}

_REVIEWS = {
    ("authorization.k8s.io", "v1"): ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authentication.k8s.io", "v1"): ("selfsubjectreviews", "SelfSubjectReview"),
}


def group_versions(served: Served) -> tuple[tuple[str, str], ...]:
    """Return every group and version that is served, the core group first."""
    return tuple(dict.fromkeys([*((r.group, r.version) for r in served.resources), *_REVIEWS]))


def version_info() -> Object:
    """Return the answer of ``/version``."""
    return {
        "major": "1",
        "minor": VERSION.split(".")[1],
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "flametest-sandbox",
        "platform": "linux/amd64",
    }


def api_versions(address: str) -> Object:
    """Return the answer of ``/api``; ``address`` is the server's own, as host and port."""
    by_client = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": by_client}


def _group_body(served: Served, name: str) -> Object:
    versions = [{"groupVersion": f"{g}/{v}", "version": v} for g, v in group_versions(served) if g == name]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def groups(served: Served) -> Object:
    """Return the answer of ``/apis``."""
    names = dict.fromkeys(name for name, _ in group_versions(served) if name)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group_body(served, name) for name in names]}


def group(served: Served, name: str) -> Object | None:
    """Return the answer of ``/apis/GROUP``; None for a group that is not served."""
    if not name or all(name != one for one, _ in group_versions(served)):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group_body(served, name)}


def _entries(resource: Resource) -> list[Object]:
    verbs = [verb for verb in _VERBS if verb != "deletecollection" or resource.kind != "Namespace"]
    if resource.is_read_only:
        verbs = ["get", "list", "watch"]
    entry: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs,
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    entries = [entry]
    for name in sorted(resource.subresources):
        common = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
        own = _SUBRESOURCES.get(name, {"kind": resource.kind, "verbs": ["get", "patch", "update"]})
        if name == "proxy":
            own = {**own, "kind": f"{resource.kind}ProxyOptions"}
        entries.append({**common, **own})
    return entries


def resource_list(served: Served, group_name: str, version: str) -> Object | None:
    """Return the resources of a group and version; None for what is not served."""
    if (group_name, version) not in group_versions(served):
        return None
    entries = [
        entry
        for resource in sorted(served.resources, key=lambda r: r.plural)
        if (resource.group, resource.version) == (group_name, version)
        for entry in _entries(resource)
    ]
    if (group_name, version) in _REVIEWS:
        plural, kind = _REVIEWS[group_name, version]
        entries.append(
            {"name": plural, "singularName": kind.lower(), "namespaced": False, "kind": kind, "verbs": ["create"]}
        )
    listed: Object = {"kind": "APIResourceList"}
    if group_name:
        listed["apiVersion"] = "v1"
    return {**listed, "groupVersion": f"{group_name}/{version}" if group_name else version, "resources": entries}
