"""Images of a project that buildah builds for the sandbox, and those that are read: which, when, and why."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flametest.clusters.buildsources import BuildSource, found_sources
from flametest.clusters.protocol import ClusterError
from flametest.clusters.sandbox_images import BuildWhen, ImageMaker, Made, summary
from flametest.manifests import BuildContext
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.builds import builds_by_digest
from flametest.sandbox.images.copying import load_archive
from flametest.sandbox.images.unpacking import unpack
from tests.images.building import BASE, TestImage, base_layer, write_docker_archive
from tests.images.buildstorage import own_storage
from tests.images.registry import serving

DOCKERFILE = """\
ARG BASE=test/base:1
FROM $BASE AS build
RUN id -u > /made
FROM test/base:1
COPY --from=build /made /made
COPY run.sh /run.sh
USER redis
CMD ["/run.sh"]
"""

Source = Callable[..., BuildSource]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    def write(dockerfile: str = DOCKERFILE, name: str = "test/app:1") -> BuildSource:
        context = tmp_path / f"context of {name.replace('/', ' ').replace(':', ' ')}"
        context.mkdir(exist_ok=True)
        (context / "run.sh").write_text("#!/bin/sh\necho runs\n")
        (context / "Dockerfile").write_text(dockerfile)
        return BuildSource(name, context, "Dockerfile")

    return write


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    return write_docker_archive(folder / "base.tar", {"test/base:1": TestImage((base_layer(),), BASE)})


@pytest.fixture
def buildah(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    own_storage(tmp_path / "storage", monkeypatch)
    yield
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


@pytest.fixture
def only_skopeo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave neither buildah nor Docker on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))


def made(store: ImageStore, source: BuildSource, when: BuildWhen = BuildWhen.AUTO) -> tuple[Made, list[str]]:
    """Return how an image was had by a new maker, and the steps that were told."""
    steps: list[str] = []
    maker = ImageMaker([source], store, when)
    (one,) = maker.make(maker.own([f"docker.io/{source.name}", "test/other:1"]), steps.append)
    return one, steps


@pytest.mark.usefixtures("buildah")
def test_an_image_is_built_on_a_base_of_the_store_and_once(store: ImageStore, source: Source, archive: Path) -> None:
    load_archive(store, archive)
    first, steps = made(store, source())
    assert first.how == "built by buildah on test/base:1 of the image store"
    assert any("RUN id -u > /made" in step for step in steps)
    image = store.image("test/app:1", first.digest)
    assert image is not None
    assert image.configuration["User"] == "redis"
    assert (unpack(store, image, one_user=False) / "rootfs" / "made").read_text() == "0\n"
    assert builds_by_digest(store)[first.digest].bases == ("test/base:1",)

    again, steps = made(store, source())
    assert (again.digest, steps) == (first.digest, [])
    assert "built before" in again.how

    app = source()
    (app.context / "run.sh").chmod(0o755)
    changed, _ = made(store, app)
    assert changed.digest not in ("", first.digest)
    assert made(store, source())[0].digest == changed.digest
    (app.context / "run.sh").chmod(0o644)
    assert made(store, source())[0].digest == first.digest


@pytest.mark.usefixtures("buildah")
def test_an_image_is_read_where_its_base_is_not_at_hand(store: ImageStore, source: Source, archive: Path) -> None:
    load_archive(store, archive, "test/else:1")
    one, steps = made(store, source())
    assert (one.digest, steps) == ("", [])
    assert one.how.startswith(
        "read from the Dockerfile, not built: its base image test/base:1 is neither in the image "
    )
    assert "buildah" in one.how
    assert made(store, source(), BuildWhen.NEVER)[0].how == "read from the Dockerfile, not built: --build never"


@pytest.mark.usefixtures("buildah")
def test_a_base_of_buildahs_own_storage_is_taken(store: ImageStore, source: Source, archive: Path) -> None:
    subprocess.run(["buildah", "pull", "--quiet", f"docker-archive:{archive}"], check=True, capture_output=True)
    one, _ = made(store, source(), BuildWhen.ALWAYS)
    assert one.digest
    assert one.how == "built by buildah on test/base:1 of the storage of buildah"


@pytest.mark.usefixtures("buildah")
def test_a_base_of_a_registry_on_this_machine_is_pulled(store: ImageStore, source: Source) -> None:
    with serving() as registry:
        registry.add("test/base", "1", TestImage((base_layer(),), BASE))
        name = f"{registry.address}/test/base:1"
        one, _ = made(store, source(f"FROM {name}\nRUN id\n"))
        assert one.how == f"built by buildah on {name} of the image store"


@pytest.mark.usefixtures("buildah")
def test_a_base_that_cannot_be_had_fails_where_images_have_to_be_built(store: ImageStore, source: Source) -> None:
    with pytest.raises(ClusterError, match=r"base image 127\.0\.0\.1:1/none:1: .*connection refused"):
        made(store, source("FROM 127.0.0.1:1/none:1\n"), BuildWhen.ALWAYS)


@pytest.mark.usefixtures("buildah")
def test_a_base_of_the_project_is_built_first(store: ImageStore, source: Source, archive: Path) -> None:
    load_archive(store, archive)
    sources = [source("FROM test/own:1\nRUN id\n"), source("FROM test/base:1\nRUN id > /own\n", "test/own:1")]
    maker = ImageMaker(sources, store, BuildWhen.AUTO)
    (one,) = maker.make(["test/app:1"], lambda _: None)
    assert one.how == "built by buildah on test/own:1 of the image store"
    assert next(image.name for image in store.images()) == "docker.io/test/app:1"

    unknown = source("FROM test/none:1\n", "test/own:1")
    (one,) = ImageMaker([sources[0], unknown], store, BuildWhen.AUTO).make(["test/app:1"], lambda _: None)
    assert one.how.startswith("read from the Dockerfile, not built: its base image test/own:1 is read from")

    circle = [source("FROM test/own:1\n"), source("FROM test/app:1\n", "test/own:1")]
    with pytest.raises(ClusterError, match="is built from itself"):
        ImageMaker(circle, store, BuildWhen.AUTO).make(["test/app:1"], lambda _: None)


@pytest.mark.usefixtures("buildah")
def test_a_build_that_fails_shows_the_step_and_its_last_lines(store: ImageStore, source: Source, archive: Path) -> None:
    load_archive(store, archive)
    before = store.images()
    with pytest.raises(ClusterError) as failed:
        made(store, source("FROM test/base:1\nRUN id\nRUN echo the cause; sleep 1; cat /none\n"))
    assert "test/app:1 could not be built" in failed.value.message
    assert "STEP 3/3: RUN echo the cause; sleep 1; cat /none" in failed.value.message
    assert "| the cause" in failed.value.details
    assert "--build never" in failed.value.remedy
    assert store.images() == before


@pytest.mark.usefixtures("buildah")
def test_an_image_whose_dockerfile_was_found_is_built_unless_somebody_has_brought_one(
    store: ImageStore, source: Source, archive: Path
) -> None:
    load_archive(store, archive)
    found = replace(source(), is_found=True)
    first, _ = made(store, found)
    assert first.how == "built by buildah on test/base:1 of the image store"
    # What was built from it is none that was brought.
    assert made(store, found)[0].digest == first.digest

    load_archive(store, archive, found.name)
    assert made(store, found)[0] == Made(found.name, "", "taken from the image store")
    assert made(store, found, BuildWhen.ALWAYS)[0].digest == first.digest
    assert made(store, source())[0].digest == first.digest


@pytest.mark.usefixtures("buildah")
def test_an_image_that_was_brought_is_a_base_though_its_dockerfile_was_found(
    store: ImageStore, source: Source, archive: Path
) -> None:
    load_archive(store, archive)
    load_archive(store, archive, "test/own:1")
    found = (source("FROM test/own:1\nRUN id\n"), source("FROM test/none:1\n", "test/own:1"))
    maker = ImageMaker([replace(one, is_found=True) for one in found], store, BuildWhen.AUTO)
    (one,) = maker.make(["test/app:1"], lambda _: None)
    assert one.how == "built by buildah on test/own:1 of the image store"


@pytest.mark.usefixtures("buildah")
def test_the_registry_that_an_image_is_named_after_comes_before_a_dockerfile_that_was_found(
    store: ImageStore, source: Source, archive: Path
) -> None:
    load_archive(store, archive)
    found = replace(source(name="localhost:5000/app:1"), is_found=True)
    maker = ImageMaker([found], store, BuildWhen.AUTO)
    (one,) = maker.make(maker.own([found.name]), lambda _: None)
    assert one.how == "asked of its registry, else read from the Dockerfile; `--build always` builds it"
    maker = ImageMaker([found], store, BuildWhen.ALWAYS)
    assert maker.make(maker.own([found.name]), lambda _: None)[0].digest


def test_a_found_dockerfile_may_be_outside_its_context_and_an_image_s_name_be_none(
    store: ImageStore, tmp_path: Path
) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "app").mkdir()
    dockerfile = tmp_path / "docker" / "app.Dockerfile"
    dockerfile.write_text("FROM test/none:1\n")
    (one,) = found_sources([BuildContext("Not:A:Name", tmp_path / "app", dockerfile, "a reason")])
    assert one.has_dockerfile
    (made,) = ImageMaker([one], store, BuildWhen.AUTO).make(["Not:A:Name"], lambda _: None)
    assert made.how.startswith("not to be had: ")


@pytest.mark.usefixtures("only_skopeo")
def test_without_a_builder_images_are_read_unless_they_have_to_be_built(store: ImageStore, source: Source) -> None:
    one, _ = made(store, source())
    assert one.how == "read from the Dockerfile, not built: buildah is not installed and Docker is not installed"
    with pytest.raises(ClusterError, match="cannot be built: buildah is not installed") as failed:
        made(store, source(), BuildWhen.ALWAYS)
    assert failed.value.remedy.startswith("install buildah or start Docker")


@pytest.mark.usefixtures("buildah")
def test_what_would_be_done_is_told_without_doing_it(store: ImageStore, source: Source, archive: Path) -> None:
    load_archive(store, archive)
    maker = ImageMaker([source(), source("FROM test/none:1\n", "test/other:1")], store, BuildWhen.AUTO)
    app, other = maker.foresee()
    assert app.how.startswith("not built; `flametest up` of what needs it builds it by buildah on test/base:1")
    assert other.how.startswith("read from the Dockerfile, not built: its base image test/none:1")
    assert len(store.images()) == 1
    maker.make(["test/app:1"], lambda _: None)
    assert ImageMaker([source()], store, BuildWhen.AUTO).foresee()[0].digest


def test_images_of_which_the_same_is_said_stand_together() -> None:
    found = [Made("a:1", "x", "built by buildah"), Made("b:1", "", "read"), Made("c:1", "y", "built by buildah")]
    assert summary(found) == "a:1, c:1 built by buildah; b:1 read"
