"""The API server itself judges the manifests, as ``kubectl apply --dry-run=server`` asks it to."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flametest.sandbox.launch import SandboxOptions, start
from tests.addresses import own_address
from tests.patience import PATIENCE_SECONDS

REPOSITORY = Path(__file__).parents[2]
FOLDERS = (REPOSITORY / "manifests", *sorted(REPOSITORY.glob("examples/*/manifests")))

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]

Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """Run kubectl on a sandbox of its own, without images and pods."""
    sandbox = start(
        SandboxOptions(home=tmp_path_factory.mktemp("home"), node_port_address=own_address("server dry run"))
    )

    def run(*arguments: str) -> str:
        command = [shutil.which("kubectl") or "", "--kubeconfig", str(sandbox.kubeconfig), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    sandbox.stop()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(REPOSITORY)))
def test_the_api_server_would_create_every_object_and_keeps_none(kubectl: Kubectl, folder: Path) -> None:
    namespaces = [file for file in sorted(folder.glob("*.yaml")) if "\nkind: Namespace\n" in file.read_text()]
    # What is in a namespace that is not there is refused, also by a dry run.
    for file in namespaces:
        kubectl("apply", "-f", str(file))
    said = kubectl("apply", "--dry-run=server", "-f", str(folder)).splitlines()
    created = [line for line in said if line.endswith(" created (server dry run)")]
    assert len(created) == len(said) - len(namespaces)
    kinds = "deployments,statefulsets,services,networkpolicies,poddisruptionbudgets,secrets"
    left = kubectl("get", kinds, "--all-namespaces", "-o", "name").splitlines()
    assert [line for line in left if line not in {"service/kubernetes", "service/kube-dns"}] == []
