"""Build contexts that were found beside manifests: offered while the sandbox runs; real images come first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.images import Catalogue, ImageStore, PullError
from flametest.sandbox.images.builds import Build, remember_build
from flametest.sandbox.images.copying import load_archive
from flametest.sandbox.images.offered import Offers, offered_file, offering
from flametest.sandbox.images.source import Images
from tests.images.building import Entry, TestImage, layer, write_docker_archive


@pytest.fixture
def offered(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return offered_file(tmp_path / "state")


def offer(path: Path, image: str, context: Path, command: str = "true", base: str = "busybox") -> None:
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f'FROM {base}\nCMD ["{command}"]\n')
    draft = path.with_name("draft")
    draft.write_text(offering(path, {image: (context, context / "Dockerfile")}))
    draft.replace(path)


def test_what_is_offered_while_it_runs_is_found_and_what_was_before_stays(offered: Path, tmp_path: Path) -> None:
    catalogue = Catalogue(offers=Offers(offered))
    assert catalogue.found("shop/web:1") is None
    offer(offered, "shop/web:1", tmp_path / "web", "one")
    offer(offered, "shop/api:1", tmp_path / "api", "two")
    commands = {name: image.command for name in ("shop/web:1", "shop/api:1") if (image := catalogue.found(name))}
    assert commands == {"shop/web:1": ("one",), "shop/api:1": ("two",)}
    offer(offered, "shop/web:1", tmp_path / "other web", "three")
    image = catalogue.found("shop/web:1")
    assert image is not None
    assert (image.command, image.is_stand_in) == (("three",), False)


def test_an_offer_that_cannot_be_read_is_none(offered: Path) -> None:
    offered.write_text("{")
    assert Catalogue(offers=Offers(offered)).found("shop/web:1") is None


async def test_a_real_image_comes_before_what_was_found(offered: Path, tmp_path: Path, store: ImageStore) -> None:
    offer(offered, "shop/web:1", tmp_path / "web")
    images = Images(Catalogue(offers=Offers(offered)), store)
    assert (await images.obtain("shop/web:1", "Never", {})).image.command == ("true",)
    real = TestImage((layer(Entry("real", mode=0o755)),), {"Cmd": ["/real"]})
    load_archive(store, write_docker_archive(tmp_path / "web.tar", {"shop/web:1": real}))
    assert (await images.obtain("shop/web:1", "Never", {})).image.command == ("/real",)
    images.close()


async def test_what_was_once_built_from_what_was_found_does_not_count_as_a_real_image(
    offered: Path, tmp_path: Path, store: ImageStore
) -> None:
    built = TestImage((layer(Entry("real", mode=0o755)),), {"Cmd": ["/real"]})
    (stored,) = load_archive(store, write_docker_archive(tmp_path / "web.tar", {"shop/web:1": built}))
    remember_build(store, "key", Build(stored.digest, "Dockerfile", "buildah", ()))
    images = Images(Catalogue(offers=Offers(offered)), store)
    assert (await images.obtain("shop/web:1", "Never", {})).image.command == ("/real",)
    offer(offered, "shop/web:1", tmp_path / "web")
    assert (await images.obtain("shop/web:1", "Never", {})).image.command == ("true",)
    images.close()


async def test_where_its_dockerfile_cannot_be_used_a_registry_is_asked_and_both_causes_are_told(
    offered: Path, tmp_path: Path, store: ImageStore
) -> None:
    asked: list[str] = []

    async def fetch(name: str, _: Mapping[str, Any]) -> None:
        asked.append(name)
        raise PullError("the registry is out of reach")

    offer(offered, "shop/web:1", tmp_path / "web", base="node:20")
    images = Images(Catalogue(offers=Offers(offered)), store, fetch)
    with pytest.raises(PullError, match=r"Dockerfile: .*node:20.*; and the registry is out of reach"):
        await images.obtain("shop/web:1", "IfNotPresent", {})
    with pytest.raises(PullError, match=r"policy of Never: .*node:20"):
        await images.obtain("shop/web:1", "Never", {})
    assert asked == ["docker.io/shop/web:1"]


async def test_a_registry_that_the_name_tells_is_asked_first(offered: Path, tmp_path: Path, store: ImageStore) -> None:
    asked: list[str] = []
    real = TestImage((layer(Entry("real", mode=0o755)),), {"Cmd": ["/real"]})
    has_it = False

    async def fetch(name: str, _: Mapping[str, Any]) -> None:
        asked.append(name)
        if not has_it:
            raise PullError("connection refused")
        load_archive(store, write_docker_archive(tmp_path / "web.tar", {name: real}))

    offer(offered, "localhost:5000/web:1", tmp_path / "web")
    images = Images(Catalogue(offers=Offers(offered)), store, fetch)
    image = (await images.obtain("localhost:5000/web:1", "IfNotPresent", {})).image
    assert image.command == ("true",)
    assert image.notice.endswith("read from its Dockerfile, which was found next to the manifests: connection refused")
    assert (await images.obtain("localhost:5000/web:1", "Never", {})).image.command == ("true",)
    has_it = True
    assert (await images.obtain("localhost:5000/web:1", "IfNotPresent", {})).image.command == ("/real",)
    assert asked == ["localhost:5000/web:1"] * 2
    images.close()
