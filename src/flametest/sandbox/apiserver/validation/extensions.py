"""What is refused of definitions of custom resources."""

from collections.abc import Iterator

from flametest.sandbox.apiserver.failures import Cause, bad_value, duplicate, required
from flametest.sandbox.apiserver.validation.names import check_enum, dns_1035_label, dns_subdomain
from flametest.sandbox.objects import Object

__all__ = ["check_definition", "check_definition_update"]


def check_definition(definition: Object) -> list[Cause]:
    """Return the faults of a definition."""
    spec, name = definition["spec"], definition["metadata"]["name"]
    group, names = spec.get("group", ""), spec["names"]
    causes = (
        [required("spec.group")] if not group else [bad_value("spec.group", group, m) for m in dns_subdomain(group)]
    )
    if group and "." not in group:
        causes.append(bad_value("spec.group", group, "should be a domain with at least one dot"))
    causes += check_enum(spec.get("scope", ""), "spec.scope", ("Cluster", "Namespaced"))
    for field in ("plural", "singular", "kind"):
        value = names.get(field, "")
        if not value:
            causes.append(required(f"spec.names.{field}"))
        else:
            causes += [bad_value(f"spec.names.{field}", value, m) for m in dns_1035_label(value.lower())]
    wanted = f"{names.get('plural', '')}.{group}"
    if name != wanted:
        causes.append(bad_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    causes += check_enum(spec["conversion"]["strategy"], "spec.conversion.strategy", ("None", "Webhook"))
    return [*causes, *_check_versions(spec.get("versions", []))]


def _check_versions(versions: list[Object]) -> Iterator[Cause]:
    if not versions:
        yield required("spec.versions", "must have at least one version")
        return
    seen: set[str] = set()
    for index, version in enumerate(versions):
        field, name = f"spec.versions[{index}]", version.get("name", "")
        for message in dns_1035_label(name):
            yield bad_value(f"{field}.name", name, message)
        if name in seen:
            yield duplicate(f"{field}.name", name)
        seen.add(name)
        schema = version.get("schema", {}).get("openAPIV3Schema")
        if schema is None:
            yield required(f"{field}.schema.openAPIV3Schema", "schemas are required")
        elif schema.get("type") != "object":
            yield bad_value(
                f"{field}.schema.openAPIV3Schema.type", schema.get("type", ""), "must be object at the root"
            )
    if sum(bool(version.get("storage")) for version in versions) != 1:
        shown = [version.get("name", "") for version in versions]
        yield bad_value("spec.versions", shown, "must have exactly one version marked as storage version")


def check_definition_update(new: Object, old: Object) -> list[Cause]:
    """Return the faults of a change of what stays fixed in a definition that is served."""
    causes: list[Cause] = []
    for path in (("group",), ("scope",), ("names", "kind"), ("names", "plural")):
        before, after = old["spec"], new["spec"]
        for part in path:
            before, after = before.get(part), after.get(part)
        if before != after:
            causes.append(bad_value(f"spec.{'.'.join(path)}", after, "field is immutable"))
    return causes
