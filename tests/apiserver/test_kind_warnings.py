"""Fields of workloads and Services that the sandbox stores but does not act on come back as warnings."""

from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.apiserver.warnings import KIND_FIELDS, KIND_NOTES, LIMITS, POD_FIELDS
from tests.apiserver.objects import pod
from tests.apiserver.serving import Client

DOCUMENT = Path(__file__).parents[2] / "docs" / "sandbox.md"
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": pod()["spec"]}
SELECTOR = {"matchLabels": {"app": "a"}}
JOB_TEMPLATE = {"spec": {**pod()["spec"], "restartPolicy": "Never"}}
INDEXED = {"completionMode": "Indexed", "completions": 2}


@pytest.mark.parametrize(
    ("path", "spec", "field"),
    [
        ("/apis/batch/v1/namespaces/default/jobs", {"template": JOB_TEMPLATE, **INDEXED}, "spec.completionMode"),
        (
            "/apis/batch/v1/namespaces/default/cronjobs",
            {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": JOB_TEMPLATE, **INDEXED}}},
            "spec.jobTemplate.spec.completionMode",
        ),
        (
            "/apis/apps/v1/namespaces/default/daemonsets",
            {
                "selector": SELECTOR,
                "template": TEMPLATE,
                "updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            },
            "spec.updateStrategy.rollingUpdate.maxSurge",
        ),
        (
            "/apis/apps/v1/namespaces/default/statefulsets",
            {
                "selector": SELECTOR,
                "template": TEMPLATE,
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
            },
            "spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
        ),
        (
            "/api/v1/namespaces/default/services",
            {"ports": [{"port": 80}], "internalTrafficPolicy": "Local"},
            "spec.internalTrafficPolicy",
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
            {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "2001:db8::/64"}}]}]},
            "spec",
        ),
    ],
)
def test_what_is_not_acted_on_is_named(client: Client, path: str, spec: dict[str, Any], field: str) -> None:
    answer = client.post(path, {"metadata": {"name": "odd"}, "spec": spec})
    assert answer.status == 201, answer.body
    (warning,) = answer.warnings
    assert warning.startswith(f'299 - "{field}: ')


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        ("/apis/batch/v1/namespaces/default/jobs", {"template": JOB_TEMPLATE}),
        ("/apis/apps/v1/namespaces/default/daemonsets", {"selector": SELECTOR, "template": TEMPLATE}),
        ("/apis/apps/v1/namespaces/default/statefulsets", {"selector": SELECTOR, "template": TEMPLATE}),
        ("/api/v1/namespaces/default/services", {"ports": [{"port": 80}], "sessionAffinity": "ClientIP"}),
    ],
)
def test_defaults_are_no_reason_for_a_warning(client: Client, path: str, spec: dict[str, Any]) -> None:
    answer = client.post(path, {"metadata": {"name": "plain"}, "spec": spec})
    assert (answer.status, answer.warnings) == (201, [])


def test_every_field_that_is_warned_of_is_in_the_documentation() -> None:
    text = DOCUMENT.read_text()
    paths = {path.removeprefix("containers.*.").removeprefix("initContainers.*.") for path in (*POD_FIELDS, *LIMITS)}
    paths |= {path.removeprefix("jobTemplate.spec.") for fields in KIND_FIELDS.values() for path in fields}
    assert [path for path in sorted(paths | KIND_NOTES.keys()) if f"`{path}`" not in text] == []


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"ingress": [{"ports": [{"port": 90, "endPort": 80}]}]}, "spec.ingress[0].ports[0].endPort"),
        ({"ingress": [{"ports": [{"port": "http", "endPort": 80}]}]}, "spec.ingress[0].ports[0].endPort"),
        ({"egress": [{"ports": [{"endPort": 80}]}]}, "spec.egress[0].ports[0].port"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.300/8"}}]}]}, "spec.ingress[0].from[0].ipBlock.cidr"),
        (
            {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}]}]},
            "spec.egress[0].to[0].ipBlock.except[0]",
        ),
        (
            {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]},
            "spec.egress[0].to[0]",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(client: Client, spec: dict[str, Any], field: str) -> None:
    path = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
    answer = client.post(path, {"metadata": {"name": "broken"}, "spec": {"podSelector": {}, **spec}})
    assert answer.status == 422
    assert [cause["field"] for cause in answer.body["details"]["causes"]] == [field]


@pytest.mark.parametrize("name", ["ephemeral-storage", "hugepages-2Mi"])
def test_limits_that_are_never_enforced_come_back_as_warnings(client: Client, name: str) -> None:
    resources = {"requests": {name: "64Mi"}, "limits": {name: "64Mi"}}
    limited = {"name": "main", "image": "example/web:1", "resources": resources}
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [limited]}}
    body = {"metadata": {"name": "limited"}, "spec": {"selector": SELECTOR, "template": template}}
    answer = client.post("/apis/apps/v1/namespaces/default/deployments?dryRun=All", body)
    assert answer.status == 201
    assert any(
        f"resources.limits.{name}: " in warning and "only limits of cpu" in warning for warning in answer.warnings
    )


def test_limits_that_are_not_enforced_come_back_as_warnings(client: Client) -> None:
    limited = {"name": "main", "image": "example/web:1", "resources": {"limits": {"memory": "64Mi", "cpu": "1"}}}
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [limited]}}
    body = {"metadata": {"name": "limited"}, "spec": {"selector": SELECTOR, "template": template}}
    answer = client.post("/apis/apps/v1/namespaces/default/deployments?dryRun=All", body)
    assert answer.status == 201
    fields = [warning.partition('"')[2].partition(":")[0] for warning in answer.warnings]
    assert fields == [f"spec.template.spec.containers.*.resources.limits.{name}" for name in ("cpu", "memory")]
    assert all("limits are not enforced" in warning for warning in answer.warnings)


@pytest.mark.parametrize("kind", ["requests", "limits"])
def test_an_eighth_of_a_byte_of_memory_is_warned_of_in_kubernetes_own_words(client: Client, kind: str) -> None:
    wanted = pod(containers=[{"name": "main", "image": "x", "resources": {kind: {"memory": "128m", "cpu": "128m"}}}])
    wanted["metadata"]["name"] = f"fractional-{kind}"
    answer = client.post("/api/v1/namespaces/default/pods", wanted)
    assert answer.status == 201, answer.body
    told = f'spec.containers[0].resources.{kind}[memory]: fractional byte value \\"128m\\" is invalid'
    assert sum(told in warning for warning in answer.warnings) >= 1
    assert not any("[cpu]" in warning for warning in answer.warnings)
