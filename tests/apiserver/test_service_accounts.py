"""The admission of pods asks for their service account, as that of Kubernetes does."""

import pytest

from flametest.sandbox.apiserver import Registry
from tests.apiserver.objects import pod
from tests.apiserver.serving import Client


@pytest.mark.parametrize("field", ["serviceAccountName", "serviceAccount"])
def test_a_pod_whose_service_account_is_not_there_is_forbidden(client: Client, field: str) -> None:
    path, account = "/api/v1/namespaces/default", f"robot-{field.lower()}"
    wanted = pod(**{field: account})
    wanted["metadata"]["name"] = f"pod-{field.lower()}"
    answer = client.post(f"{path}/pods", wanted)
    assert answer.status == 403, answer.body
    name = wanted["metadata"]["name"]
    because = f'error looking up service account default/{account}: serviceaccount "{account}" not found'
    assert answer.body["message"] == f'pods "{name}" is forbidden: {because}'
    assert client.post(f"{path}/serviceaccounts", {"metadata": {"name": account}}).status == 201
    assert client.post(f"{path}/pods", wanted).status == 201


def test_the_default_account_needs_no_asking(registry: Registry) -> None:
    registry.create("pods", pod(serviceAccountName="default"))
