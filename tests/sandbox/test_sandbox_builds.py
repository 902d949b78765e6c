"""Images of a project that were built, in a sandbox: `flametest up` builds them, pods run them, and it is said."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.clusters import ClusterOptions, provide
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import load_archive
from flametest.sandbox.launch import Sandbox, SandboxOptions, find, image_store
from tests.addresses import own_address
from tests.end_to_end.conftest import FLAMETEST, environment_of
from tests.images.building import BASE, TestImage, base_layer, write_docker_archive
from tests.images.buildstorage import own_storage
from tests.patience import PATIENCE_SECONDS
from tests.sandbox.conftest import Api
from tests.sandbox.image_pods import PODS, log_of, pod, state_of

pytestmark = pytest.mark.sandbox

ADDRESS = own_address("builds")
DOCKERFILE = """\
FROM test/base:1
RUN echo "built by $(id -u)" > /made
USER redis
CMD ["sh", "-c", "cat /made > /dev/stdout; id -u"]
"""
MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {name: app}
spec: {restartPolicy: Never, containers: [{name: main, image: "test/app:1"}]}
"""


class Project:
    """A folder with one image and a pod, and a home whose store has the base image."""

    def __init__(self, folder: Path) -> None:
        self.home, self.manifests = folder / "Ann's home,_ü__", folder / "manifests"
        self.dockerfile = folder / "app" / "Dockerfile"
        for one in (self.manifests, self.dockerfile.parent):
            one.mkdir(parents=True)
        self.dockerfile.write_text(DOCKERFILE)
        (self.manifests / "images.toml").write_text('[[image]]\nname = "test/app:1"\ncontext = "app"\n')
        (self.manifests / "pod.yaml").write_text(MANIFEST)
        base = write_docker_archive(folder / "base.tar", {"test/base:1": TestImage((base_layer(),), BASE)})
        load_archive(ImageStore(image_store(self.home)), base)

    @property
    def sandbox(self) -> Sandbox | None:
        return find(SandboxOptions(home=self.home))

    def up(self, *options: str) -> "subprocess.CompletedProcess[str]":
        command = [*FLAMETEST, "up", str(self.manifests), "--namespace", "default", *options]
        environment = environment_of(self.home, ADDRESS)
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    own_storage(tmp_path / "storage", monkeypatch)
    made = Project(tmp_path)
    yield made
    if (sandbox := made.sandbox) is not None:
        sandbox.stop()


def test_an_image_that_was_built_runs_and_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    done = project.up("--build", "auto")
    assert "the project's images: test/app:1 built by buildah on test/base:1 of the image store\n" in done.stdout
    sandbox = project.sandbox
    assert sandbox is not None
    api = Api(sandbox)
    assert log_of(api, "app") == "built by 0\n999\n"
    (digest,) = sandbox.builds.values()
    status = api(f"{PODS}/app")["status"]["containerStatuses"][0]
    assert status["imageID"] == f"docker.io/test/app@{digest}"
    monkeypatch.setenv("FLAMETEST_HOME", str(project.home))
    assert "the images test/app:1 were built" in provide("sandbox", ClusterOptions()).note

    # The next pod runs what it says now: the Dockerfile read, where that is asked for.
    done = project.up("--build", "never")
    assert "test/app:1 read from the Dockerfile, not built: --build never\n" in done.stdout
    assert sandbox.builds == {}

    sandbox.use_builds({"test/app:1": f"sha256:{64 * '0'}"})
    api(PODS, pod("gone", "test/app:1"))
    waiting = state_of(api, "gone", lambda state: "waiting" in state and "message" in state["waiting"])
    assert (
        "was built, and is no longer in the image store: `flametest up` again" in waiting["state"]["waiting"]["message"]
    )


def test_an_image_whose_dockerfile_was_found_is_built_like_one_that_is_named(project: Project) -> None:
    (project.manifests / "images.toml").unlink()
    done = project.up("--build", "auto")
    assert "note: image test/app:1 is made from " in done.stdout
    assert "the project's images: test/app:1 built by buildah on test/base:1 of the image store\n" in done.stdout
    assert project.sandbox is not None
    assert log_of(Api(project.sandbox), "app") == "built by 0\n999\n"


def test_a_build_that_fails_ends_the_command_before_anything_is_started(project: Project) -> None:
    project.dockerfile.write_text("FROM test/base:1\nRUN echo the cause; sleep 1; cat /none\n")
    done = project.up("--build", "auto")
    assert done.returncode == 2
    assert "STEP 2/2: RUN echo the cause; sleep 1; cat /none" in done.stdout + done.stderr
    assert "| the cause\n" in done.stderr
    assert "remedy: fix the Dockerfile" in done.stderr
    assert project.sandbox is None
    done = project.up("--build", "always", "--cluster", "minikube")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: --build always belongs to the sandbox, and the cluster is minikube",
    )
