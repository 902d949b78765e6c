"""Custom resources: what a CustomResourceDefinition adds to what is served, and how its objects differ.

A definition may have several versions, of which one is stored. The others show its objects under their own version and
change nothing else: the conversion strategy ``None``, also where a webhook is asked for. Schemas are shown, by
``kubectl explain`` as well, but not enforced.
Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from collections.abc import Callable, Iterator

from flametest.sandbox.apiserver.behaviour import Behaviour
from flametest.sandbox.apiserver.columns.custom import custom_columns
from flametest.sandbox.apiserver.resources import Custom, Resource
from flametest.sandbox.objects import Object

__all__ = ["resources_of"]


def resources_of(definition: Object) -> tuple[Resource, ...]:
    """Return the resources that a definition adds, one for each version that it serves, the stored one first."""
    versions = sorted(definition["spec"]["versions"], key=lambda version: not version.get("storage"))
    return tuple(_resources(definition, versions))


def _resources(definition: Object, versions: list[Object]) -> Iterator[Resource]:
    spec, metadata = definition["spec"], definition["metadata"]
    names, group = spec["names"], spec["group"]
    for version in versions:
        if not version.get("served") and not version.get("storage"):
            continue
        api_version = f"{group}/{version['name']}"
        subresources = ("status",) if "status" in version.get("subresources", {}) else ()
        stored = bool(version.get("storage"))
        schema = version.get("schema", {}).get("openAPIV3Schema", {})
        yield Resource(
            plural=names["plural"],
            kind=names["kind"],
            group=group,
            version=version["name"],
            columns=custom_columns(version.get("additionalPrinterColumns", ())),
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames", ())),
            categories=tuple(names.get("categories", ())),
            subresources=subresources,
            has_generation=True,
            behaviour=Behaviour(prepare=_without_status) if subresources else Behaviour(),
            stored_as="" if stored else f"{names['plural']}.{group}",
            show=_under(api_version),
            store=None if stored else _under(_stored_version(group, versions)),
            custom=Custom(names["singular"], names["listKind"], schema, f"{metadata['uid']}-{metadata['generation']}"),
        )


def _stored_version(group: str, versions: list[Object]) -> str:
    return f"{group}/{versions[0]['name']}"


def _under(api_version: str) -> Callable[[Object], Object]:
    """Return what gives an object its version."""
    return lambda obj: {**obj, "apiVersion": api_version}


def _without_status(obj: Object) -> None:
    """Drop the status of a new object, which is written by itself."""
    obj.pop("status", None)
