"""The server answers as a real Kubernetes v1.36.2 did, step by step and field by field."""

from pathlib import Path

import pytest
from tests.apiserver.conformance import compare, read_recording
from tests.apiserver.serving import Client

RECORDINGS = Path(__file__).parent / "recordings"

KNOWN_DIFFERENCES = {
    # The recorded cluster adds a second certificate to every pod, which Kubernetes itself does not.
    "a pod's defaults": "openshift-service-ca.crt",
    "a pod's ports, probes and volumes get defaults": "service-ca.crt",
}


@pytest.mark.parametrize("name", ["discovery", "crud", "patching", "validation"])
def test_every_recorded_step_is_answered_alike(client: Client, name: str) -> None:
    differences = compare(client, read_recording(RECORDINGS / f"{name}.json"))
    unknown = [d for d in differences if d.step not in KNOWN_DIFFERENCES]
    assert unknown == []
    for difference in differences:
        assert all(".sources.3." in field for field in difference.fields), difference
