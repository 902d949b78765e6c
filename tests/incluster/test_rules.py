"""Rights as rules: a Role grants what is needed, and not one thing more."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flametest.incluster.rules import rules_of
from flametest.kube.rights import Right

RIGHTS = st.builds(
    Right,
    plural=st.sampled_from(["pods", "services", "deployments", "nodes"]),
    subresource=st.sampled_from(["", "log", "proxy"]),
    verb=st.sampled_from(["get", "list", "watch", "create", "delete"]),
    group=st.sampled_from(["", "apps"]),
    everywhere=st.booleans(),
    name=st.sampled_from(["", "postgres"]),
)


def granted(rules: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return group, resource, name (empty for all) and verb of everything that rules grant, as an API server does."""
    return [
        (group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
        for verb in rule["verbs"]
    ]


@given(st.lists(RIGHTS, max_size=30))
def test_rules_grant_each_right_once_where_it_is_needed_and_nothing_else(rights: list[Right]) -> None:
    for everywhere in (False, True):
        found = granted(rules_of(rights, everywhere=everywhere))
        assert len(found) == len(set(found))
        wanted = {(one.group, one.resource, one.name, one.verb) for one in rights if one.everywhere == everywhere}
        assert set(found) == wanted


def test_kinds_with_the_same_verbs_share_a_rule() -> None:
    rights = [
        Right("deployments", "", "list", "apps"),
        Right("statefulsets", "", "list", "apps"),
        Right("pods", "log", "get"),
    ]
    assert rules_of(rights, everywhere=False) == [
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": ["list"]},
    ]
