"""Every manifest against the schemas of the Kubernetes releases that it is meant for, unknown fields included."""

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from flametest.clusters.minikube import KUBERNETES_VERSION

REPOSITORY = Path(__file__).parents[2]
SANDBOX_VERSION = "v1.36.2"
FOLDERS = (REPOSITORY / "manifests", *sorted(REPOSITORY.glob("examples/*/manifests")))


def objects(folder: Path) -> list[dict[str, Any]]:
    """Return every object of a folder's manifests."""
    return [
        document
        for file in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
        if document is not None
    ]


@pytest.mark.parametrize("version", [KUBERNETES_VERSION, SANDBOX_VERSION])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(REPOSITORY)))
def test_every_manifest_keeps_the_schema_of_the_kubernetes_it_goes_to(folder: Path, version: str) -> None:
    found = objects(folder)
    assert found
    for one in found:
        release = kubernetes_validate.validate(one, version, strict=True)
        assert version.startswith(f"v{release}."), f"the schemas of {version} are not installed"


@pytest.mark.parametrize("broken", [{"replicaz": 3}, {"replicas": "three"}, {"selector": "app=api"}])
def test_a_field_that_is_misspelt_or_of_another_type_is_noticed(
    manifests: list[dict[str, Any]], broken: dict[str, Any]
) -> None:
    deployment = copy.deepcopy(next(one for one in manifests if one["kind"] == "Deployment"))
    deployment["spec"] |= broken
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES_VERSION, strict=True)
