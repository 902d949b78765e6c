"""What an answer with an error status means, and what to do about it."""

import json

import pytest

from flametest.kube.errors import rejection


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ('pods is forbidden: User "ann" cannot create resource "pods" in API group ""', "lacks this right"),
        (
            'pods "a" is forbidden: error looking up service account a/b: serviceaccount "b" not found',
            "fix",
        ),
        ('pods "a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5', "fix"),
        ('pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false', "fix"),
    ],
)
def test_admission_and_authorization_forbid_with_one_status_and_need_different_remedies(
    message: str, remedy: str
) -> None:
    body = json.dumps({"kind": "Status", "message": message, "reason": "Forbidden", "code": 403}).encode()
    error = rejection(403, body, "POST /api/v1/namespaces/shop/pods")
    assert remedy in error.remedy


def test_a_proxys_403_is_one_of_rights() -> None:
    assert "lacks this right" in rejection(403, b"<html>Forbidden</html>", "GET /api").remedy
