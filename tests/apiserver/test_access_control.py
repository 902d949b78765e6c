"""Roles, bindings and tokens of service accounts: who may do what, and that a review says the same."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver.authorization import ADMIN, Action, User, decide, service_account
from flametest.sandbox.objects import Object
from flametest.sandbox.tokens import ServiceAccountTokens, TokenOwner
from tests.apiserver.serving import Client

GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"
TESTER = service_account("shop", "tester")


class Policies:
    """Roles and bindings that are given."""

    def __init__(self, *objects: Object) -> None:
        self._objects = objects

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        kind = {f"roles.{GROUP}": "Role", f"clusterroles.{GROUP}": "ClusterRole"}[resource]
        return next((one for one in _of(self._objects, kind, namespace) if one["metadata"]["name"] == name), None)

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        kind = {f"rolebindings.{GROUP}": "RoleBinding", f"clusterrolebindings.{GROUP}": "ClusterRoleBinding"}[resource]
        return _of(self._objects, kind, namespace)


def _of(objects: Iterable[Object], kind: str, namespace: str | None) -> list[Object]:
    return [
        one
        for one in objects
        if one["kind"] == kind and (not namespace or one["metadata"].get("namespace") == namespace)
    ]


def rule(
    verbs: list[str], resources: list[str], groups: list[str] | None = None, names: list[str] | None = None
) -> Any:
    return {"verbs": verbs, "resources": resources, "apiGroups": groups or [""], "resourceNames": names or []}


def role(*rules: Any, kind: str = "Role", name: str = "some") -> Object:
    metadata = {"name": name} | ({"namespace": "shop"} if kind == "Role" else {})
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "rules": list(rules)}


def binding(kind: str = "RoleBinding", to: str = "Role", subject: Object | None = None, name: str = "some") -> Object:
    metadata = {"name": name} | ({"namespace": "shop"} if kind == "RoleBinding" else {})
    account = {"kind": "ServiceAccount", "namespace": "shop", "name": "tester"}
    reference = {"apiGroup": GROUP, "kind": to, "name": name}
    subjects = [subject or account]
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "roleRef": reference, "subjects": subjects}


def action(verb: str, resource: str, namespace: str = "shop", **others: str) -> Action:
    plural, _, subresource = resource.partition("/")
    return Action(verb, resource=plural, subresource=subresource, namespace=namespace, **others)


def test_without_a_binding_nothing_is_allowed_but_to_the_masters() -> None:
    policies = Policies(role(rule(["*"], ["*"], ["*"])))
    assert not decide(TESTER, action("get", "pods"), policies).allowed
    assert decide(ADMIN, action("delete", "nodes", ""), Policies()).allowed


@pytest.mark.parametrize(
    ("granted", "asked", "allowed"),
    [
        (rule(["get"], ["pods"]), action("get", "pods"), True),
        (rule(["get"], ["pods"]), action("list", "pods"), False),
        (rule(["get"], ["pods"]), action("get", "pods/log"), False),
        (rule(["get"], ["pods/log"]), action("get", "pods/log"), True),
        (rule(["get"], ["pods/log"]), action("get", "pods"), False),
        (rule(["*"], ["*"]), action("create", "pods/exec"), True),
        (rule(["*"], ["*/scale"]), action("patch", "deployments/scale"), True),
        (rule(["*"], ["*/scale"]), action("patch", "deployments"), False),
        (rule(["*"], ["*"]), action("get", "deployments", group="apps"), False),
        (rule(["*"], ["*"], ["apps"]), action("get", "deployments", group="apps"), True),
        (rule(["get"], ["pods"], names=["one"]), action("get", "pods", name="one"), True),
        (rule(["get"], ["pods"], names=["one"]), action("get", "pods", name="two"), False),
        (rule(["list"], ["pods"], names=["one"]), action("list", "pods"), False),
        (rule(["get"], ["pods"]), action("get", "pods", "elsewhere"), False),
        (rule(["list"], ["pods"]), action("list", "pods", ""), False),
    ],
)
def test_a_rule_grants_what_it_names_in_its_namespace_and_nothing_else(
    granted: Any, asked: Action, allowed: bool
) -> None:
    decision = decide(TESTER, asked, Policies(role(granted), binding()))
    assert decision.allowed is allowed
    assert ("RoleBinding" in decision.reason) is allowed


@pytest.mark.parametrize(
    ("subject", "allowed"),
    [
        ({"kind": "ServiceAccount", "namespace": "shop", "name": "tester"}, True),
        ({"kind": "ServiceAccount", "namespace": "other", "name": "tester"}, False),
        ({"kind": "User", "name": "system:serviceaccount:shop:tester"}, True),
        ({"kind": "User", "name": "tester"}, False),
        ({"kind": "Group", "name": "system:serviceaccounts:shop"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts:other"}, False),
        ({"kind": "Group", "name": "system:authenticated"}, True),
    ],
)
def test_a_binding_is_for_its_subjects(subject: Object, allowed: bool) -> None:
    policies = Policies(role(rule(["get"], ["pods"])), binding(subject=subject))
    assert decide(TESTER, action("get", "pods"), policies).allowed is allowed


def test_a_cluster_role_grants_in_one_namespace_or_in_all_as_it_is_bound() -> None:
    everywhere = role(rule(["list"], ["pods"]), kind="ClusterRole")
    inside = Policies(everywhere, binding(to="ClusterRole"))
    outside = Policies(everywhere, binding("ClusterRoleBinding", "ClusterRole"))
    for namespace, allowed in (("shop", True), ("other", False), ("", False)):
        assert decide(TESTER, action("list", "pods", namespace), inside).allowed is allowed
        assert decide(TESTER, action("list", "pods", namespace), outside).allowed


def test_a_path_is_granted_by_cluster_roles_alone() -> None:
    paths = {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/debug/*"]}
    policies = Policies(role(paths, kind="ClusterRole"), binding("ClusterRoleBinding", "ClusterRole"))
    granted = [
        path
        for path in ("/metrics", "/metrics/x", "/debug/a")
        if decide(TESTER, Action("get", path=path), policies).allowed
    ]
    assert granted == ["/metrics", "/debug/a"]


_VERBS = st.sampled_from(["get", "list", "delete", "*"])
_RESOURCES = st.sampled_from(["pods", "pods/exec", "services", "*", "*/exec"])
_RULES = st.builds(rule, st.lists(_VERBS, min_size=1, max_size=2), st.lists(_RESOURCES, min_size=1, max_size=2))
_ACTIONS = st.builds(
    action, st.sampled_from(["get", "list", "delete"]), st.sampled_from(["pods", "pods/exec", "services"])
)


@given(rules=st.lists(_RULES, max_size=4), more=_RULES, asked=_ACTIONS)
def test_rights_only_add_up(rules: list[Any], more: Any, asked: Action) -> None:
    few = decide(TESTER, asked, Policies(role(*rules), binding())).allowed
    alone = decide(TESTER, asked, Policies(role(more), binding())).allowed
    assert decide(TESTER, asked, Policies(role(*rules, more), binding())).allowed is (few or alone)


@given(rules=st.lists(_RULES, max_size=4), asked=_ACTIONS)
def test_nobody_else_gains_by_a_binding(rules: list[Any], asked: Action) -> None:
    stranger = User("system:serviceaccount:other:tester", ("system:authenticated",))
    assert not decide(stranger, asked, Policies(role(*rules), binding())).allowed


@given(token=st.text(max_size=40))
def test_what_was_not_issued_is_nobodys_token(token: str) -> None:
    tokens = ServiceAccountTokens("secret")
    assert tokens.read(token) is None
    assert tokens.read(f"{tokens.issue(TokenOwner('a', 'b', 'c'))}{token or 'x'}") is None


def test_a_token_is_good_for_its_time_and_in_its_own_sandbox() -> None:
    now = [1000.0]
    tokens, owner = ServiceAccountTokens("secret", lambda: now[0]), TokenOwner("shop", "tester", "u1")
    token = tokens.issue(owner, 600)
    assert tokens.read(token) == owner
    assert ServiceAccountTokens("another", lambda: now[0]).read(token) is None
    now[0] += 600
    assert tokens.read(token) is None


@pytest.fixture
def token(client: Client) -> Iterator[str]:
    """The token of a service account that may get and list pods, and ask for nothing else."""
    client.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    client.post("/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "tester"}})
    made = role(rule(["get", "list"], ["pods", "namespaces"]), rule(["get"], ["pods/exec"]))
    client.post(f"{RBAC}/namespaces/shop/roles", made)
    client.post(f"{RBAC}/namespaces/shop/rolebindings", binding())
    issued = client.post("/api/v1/namespaces/shop/serviceaccounts/tester/token", {"spec": {}})
    assert issued.status == 201, issued.body
    yield issued.body["status"]["token"]
    client.call("DELETE", "/api/v1/namespaces/shop/serviceaccounts/tester")


def test_a_service_account_gets_what_its_role_grants_and_the_refusal_says_what_it_lacks(
    client: Client, token: str
) -> None:
    own = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/v1/namespaces/shop/pods", **own).status == 200
    assert client.get("/api/v1/namespaces/shop", **own).status == 200
    assert client.get("/version", **own).status == 200
    refused = client.call("DELETE", "/api/v1/namespaces/shop/pods/one", None, own)
    assert refused.status == 403
    assert refused.body["message"] == (
        'pods "one" is forbidden: User "system:serviceaccount:shop:tester" cannot delete resource "pods" '
        'in API group "" in the namespace "shop"'
    )
    assert client.get("/api/v1/pods", **own).status == 403
    assert client.get("/api/v1/namespaces/default/pods", **own).status == 403
    exec_path = "/api/v1/namespaces/shop/pods/one/exec?command=true"
    assert "cannot create resource" in client.get(exec_path, **own).body["message"]


@pytest.mark.parametrize(
    ("method", "path", "attributes"),
    [
        ("GET", "/api/v1/namespaces/shop/pods", {"verb": "list", "resource": "pods", "namespace": "shop"}),
        ("GET", "/api/v1/namespaces/shop/pods?watch=1", {"verb": "watch", "resource": "pods", "namespace": "shop"}),
        ("GET", "/api/v1/nodes", {"verb": "list", "resource": "nodes"}),
        ("GET", "/api/v1/namespaces/shop", {"verb": "get", "resource": "namespaces", "namespace": "shop"}),
        (
            "GET",
            "/api/v1/namespaces/kube-system",
            {"verb": "get", "resource": "namespaces", "namespace": "kube-system"},
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/shop/deployments",
            {"verb": "deletecollection", "group": "apps", "resource": "deployments", "namespace": "shop"},
        ),
    ],
)
def test_a_review_says_what_the_request_itself_is_answered(
    client: Client, token: str, method: str, path: str, attributes: dict[str, str]
) -> None:
    own = {"Authorization": f"Bearer {token}"}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    review = client.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, own)
    assert review.status == 201
    assert review.body["status"]["allowed"] is (client.call(method, path, None, own).status != 403)


def test_a_token_is_worth_nothing_once_its_service_account_is_gone(client: Client, token: str) -> None:
    own = {"Authorization": f"Bearer {token}"}
    client.call("DELETE", "/api/v1/namespaces/shop/serviceaccounts/tester")
    assert client.get("/version", **own).status == 401
    client.post("/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "tester"}})
    assert client.get("/version", **own).status == 401


def test_the_administrator_alone_may_ask_in_anothers_name(client: Client, token: str) -> None:
    name = {"Impersonate-User": "system:serviceaccount:shop:tester"}
    assert client.get("/api/v1/namespaces/shop/pods", **name).status == 200
    assert client.get("/api/v1/nodes", **name).status == 403
    other = client.get("/version", Authorization=f"Bearer {token}", **{"Impersonate-User": "flametest-admin"})
    assert 'cannot impersonate resource "users"' in other.body["message"]


IMPERSONATED = {
    "Impersonate-User": "viewer",
    "Impersonate-Group": "system:masters",
    "Impersonate-Uid": "u-1",
    "Impersonate-Extra-Scopes%2fx": "one",
}


@pytest.mark.parametrize("lacking", ["users", "groups", "uids", "userextras/scopes/x", None])
def test_each_part_of_anothers_name_needs_its_own_right(client: Client, token: str, lacking: str | None) -> None:
    granted = [one for one in ("users", "groups", "uids", "userextras/scopes/x") if one != lacking]
    rules = [rule(["impersonate"], granted, ["", "authentication.k8s.io"])]
    account = {"kind": "ServiceAccount", "namespace": "shop", "name": "tester"}
    for path, body in (
        ("clusterroles", role(*rules, kind="ClusterRole", name="acting")),
        ("clusterrolebindings", binding("ClusterRoleBinding", "ClusterRole", account, "acting")),
    ):
        assert client.post(f"{RBAC}/{path}", body).status == 201
    try:
        answer = client.get("/api/v1/nodes", Authorization=f"Bearer {token}", **IMPERSONATED)
    finally:
        for path in ("clusterroles", "clusterrolebindings"):
            client.call("DELETE", f"{RBAC}/{path}/acting")
    assert answer.status == (200 if lacking is None else 403)
    if lacking:
        assert f'cannot impersonate resource "{lacking}"' in answer.body["message"]


def test_groups_without_a_user_are_nobody(client: Client) -> None:
    answer = client.get("/version", **{"Impersonate-Group": "system:masters"})
    assert (answer.status, "without impersonating a user" in answer.body["message"]) == (400, True)


@pytest.mark.parametrize(
    ("kind", "broken", "message"),
    [
        ("roles", role({"verbs": [], "apiGroups": [""], "resources": ["pods"]}), "verbs must contain at least one"),
        ("roles", role({"verbs": ["get"], "nonResourceURLs": ["/x"]}), "cannot apply to non-resource URLs"),
        ("rolebindings", binding(subject={"kind": "Robot", "name": "x"}), 'Unsupported value: "Robot"'),
        ("rolebindings", binding(subject={"kind": "ServiceAccount", "name": "x"}), "subjects[0].namespace"),
    ],
)
def test_a_role_or_binding_that_could_grant_nothing_is_refused(
    client: Client, token: str, kind: str, broken: Object, message: str
) -> None:
    answer = client.post(f"{RBAC}/namespaces/shop/{kind}", broken | {"metadata": {"name": "broken"}})
    assert answer.status == 422
    assert message in answer.body["message"]


def test_a_binding_goes_on_granting_the_role_that_it_was_made_for(client: Client, token: str) -> None:
    patch = {"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}}
    answer = client.patch(f"{RBAC}/namespaces/shop/rolebindings/some", patch, "merge-patch+json")
    assert answer.status == 422
    assert "cannot change roleRef" in answer.body["message"]
