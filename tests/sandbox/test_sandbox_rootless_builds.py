"""Images of a project that an ordinary user's buildah builds, and those that it cannot: told before anything starts."""

import json
import os
from pathlib import Path

import pytest

from tests.images.building import BASE, Entry, TestImage, base_layer, layer, write_docker_archive
from tests.sandbox.ordinary_user import OrdinaryUser

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can run tests as somebody who has other ids"),
]

# Owned by others than root, as files of any distribution are.
FILES = layer(Entry("etc/shadow", b"*", 0o640, gid=42), Entry("data/file", b"", uid=999, gid=998))
DOCKERFILE = "FROM test/base:1\nRUN id -u > /made; touch /other; chown redis:redis /other\nUSER redis\n"
MAKE = """
import json, os, sys
from pathlib import Path
from flametest.clusters import ClusterError
from flametest.clusters.buildsources import BuildSource
from flametest.clusters.sandbox_images import BuildWhen, ImageMaker
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import load_archive
home = Path(os.environ["HOME"])
os.environ["XDG_RUNTIME_DIR"] = str(home / "run")
(home / "run").mkdir(mode=0o700)
context = home / "app"
context.mkdir()
(context / "Dockerfile").write_text(sys.argv[2])
store = ImageStore(home / "Her: images,_ü__")
load_archive(store, Path(sys.argv[1]))
maker = ImageMaker([BuildSource("test/app:1", context, "Dockerfile")], store, BuildWhen.AUTO)
try:
    (made,) = maker.make(["test/app:1"], lambda _: None)
except ClusterError as error:
    sys.exit(repr((error.message, *error.details)))
image = store.image("test/app:1", made.digest) if made.digest else None
print(json.dumps([made.how, None if image is None else image.configuration["User"]]))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = TestImage((base_layer(), FILES), BASE)
    return write_docker_archive(tmp_path_factory.mktemp("base") / "base.tar", {"test/base:1": image})


def how(archive: Path, ranges: str) -> tuple[str, str | None]:
    """Return how an ordinary user's image was had, and the user of the one that was built."""
    with OrdinaryUser.existing(ranges) as user:
        brought = user.home / "base.tar"
        brought.write_bytes(archive.read_bytes())
        said, built = json.loads(user.run(MAKE, str(brought), DOCKERFILE, seconds_max=180))
    return said, built


def test_a_user_with_subordinate_ids_builds(archive: Path) -> None:
    assert how(archive, "700000:65536") == ("built by buildah on test/base:1 of the image store", "redis")


def test_without_them_the_dockerfile_is_read_and_the_remedy_told(archive: Path) -> None:
    said, built = how(archive, "")
    assert built is None
    assert said.startswith(
        "read from the Dockerfile, not built: buildah has the ids of no other users (as root: usermod"
    )
