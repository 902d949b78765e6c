"""Python environments of images: made from wheels of the test, so that no network is needed."""

import subprocess
from pathlib import Path

import pytest

from flametest.sandbox.images import Bind, Image, ImageStore, Packages, PullError, TextFile
from flametest.sandbox.images.catalogue import Catalogue
from flametest.sandbox.images.environments import environment_folder, is_whole, make_environment, with_environment
from flametest.sandbox.images.source import Images
from tests.images.wheels import pip_settings, write_wheel

DOCKERFILE = 'FROM python:3\nRUN pip install {}\nCMD ["kubediff_one"]\n'


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of wheels, which is all that pip has."""
    folder = tmp_path / "wheels"
    for version in ("1.0", "2.0"):
        write_wheel(folder, "kubediff_one", version)
    for name, value in pip_settings(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def test_an_environment_has_what_is_wanted_and_nothing_of_the_sandboxs(tmp_path: Path, wheels: Path) -> None:
    make_environment(tmp_path, ["kubediff-one<3"], ["kubediff-one<2"])
    folder = environment_folder(tmp_path, ["kubediff-one<3"], ["kubediff-one<2"])
    assert is_whole(folder)
    script = subprocess.run([folder / "bin" / "kubediff_one"], capture_output=True, text=True, check=True)
    assert script.stdout == "script 1.0\n"
    for module in ("pytest", "flametest", "pip"):
        assert subprocess.run(
            [folder / "bin" / "python", "-c", f"import {module}"], check=False, stderr=subprocess.DEVNULL
        ).returncode
    assert not folder.stat().st_mode & 0o002
    assert folder.stat().st_mode & 0o005 == 0o005


def test_an_environment_is_made_once_and_named_by_what_it_is_made_of(tmp_path: Path, wheels: Path) -> None:
    make_environment(tmp_path, ["kubediff-one"], [])
    folder = environment_folder(tmp_path, ["kubediff-one"], [])
    first = folder.stat().st_ino
    for wheel in wheels.iterdir():
        wheel.unlink()
    make_environment(tmp_path, ["kubediff-one"], [])
    assert folder.stat().st_ino == first
    assert environment_folder(tmp_path, ["b", "a"], ["d", "c"]) == environment_folder(tmp_path, ["a", "b"], ["c", "d"])
    places = {environment_folder(tmp_path, wanted, more) for wanted, more in (("a", ""), ("", "a"), ("b", ""))}
    assert len(places) == 3


def test_what_was_left_half_made_is_made_again(tmp_path: Path, wheels: Path) -> None:
    folder = environment_folder(tmp_path, ["kubediff-one"], [])
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("broken")
    assert not is_whole(folder)
    make_environment(tmp_path, ["kubediff-one"], [])
    assert is_whole(folder)


def test_what_pip_cannot_install_is_told_and_nothing_is_left(tmp_path: Path, wheels: Path) -> None:
    with pytest.raises(PullError, match=r"^No matching distribution found for kubediff-one==9$"):
        make_environment(tmp_path, ["kubediff-one==9"], [])
    assert not environment_folder(tmp_path, ["kubediff-one==9"], []).exists()


def test_an_image_runs_by_its_environment_alone() -> None:
    image = Image(
        "shop/web:1",
        environment=(("PATH", "/app/bin:/flametest/bin:/usr/bin"), ("PYTHONPATH", "/flametest/lib:/app"), ("A", "b")),
        binds=(Bind("/flametest", "/flametest", stays=True), Bind("/code", "/app")),
        files=(TextFile("/usr/local/bin/python3", "x", 0o755), TextFile("/etc/app", "y")),
        packages=Packages(("a",), (), ("a",), "RUN pip install a"),
    )
    made = with_environment(image, Path("/store/environments/1"))
    environment = dict(made.environment)
    assert environment == {
        "PATH": "/store/environments/1/bin:/app/bin:/usr/bin",
        "PYTHONPATH": "/app",
        "A": "b",
        "VIRTUAL_ENV": "/store/environments/1",
    }
    assert "/flametest" not in {bind.target for bind in made.binds}
    assert Bind("/store/environments/1", "/store/environments/1", stays=True) in made.binds
    assert made.files[0].text == '#!/bin/sh\nexec /store/environments/1/bin/python "$@"\n'
    assert (made.files[1], made.packages) == (image.files[1], None)


def images_of(folder: Path, wanted: str) -> tuple[Images, list[Packages]]:
    """Return images of one Dockerfile whose environments are made in this process, and what was asked for."""
    (folder / "manifests").mkdir()
    (folder / "manifests/images.toml").write_text('[[image]]\nname = "shop/web:1"\ncontext = "."\n')
    (folder / "Dockerfile").write_text(DOCKERFILE.format(wanted))
    asked = []

    async def install(packages: Packages) -> None:
        asked.append(packages)
        make_environment(folder / "store", list(packages.wanted), list(packages.constraints))

    catalogue = Catalogue(folder / "manifests/images.toml")
    return Images(catalogue, ImageStore(folder / "store"), install=install), asked


async def test_an_image_gets_an_environment_only_where_the_sandboxs_does_not_satisfy_it(
    tmp_path: Path, wheels: Path
) -> None:
    images, asked = images_of(tmp_path, "kubediff-one==2.0")
    for _ in range(2):
        image = (await images.obtain("shop/web:1", "IfNotPresent", {})).image
        assert dict(image.environment)["VIRTUAL_ENV"] == str(
            environment_folder(tmp_path / "store", ["kubediff-one==2.0"], [])
        )
    assert len(asked) == 1
    images.close()
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format("'pytest>=1'") + "# changed\n")
    images = Images(Catalogue(tmp_path / "manifests/images.toml"), ImageStore(tmp_path / "store"))
    image = (await images.obtain("shop/web:1", "IfNotPresent", {})).image
    assert "VIRTUAL_ENV" not in dict(image.environment)


async def test_an_environment_is_removed_when_all_is_that_no_sandbox_runs(tmp_path: Path, wheels: Path) -> None:
    images, _ = images_of(tmp_path, "kubediff-one==2.0")
    await images.obtain("shop/web:1", "IfNotPresent", {})
    store = ImageStore(tmp_path / "store")
    folder = environment_folder(store.folder, ["kubediff-one==2.0"], [])
    store.prune(names=True)
    assert is_whole(folder)
    images.close()
    store.prune(names=False)
    assert is_whole(folder)
    freed, _ = store.prune(names=True)
    assert freed > 0
    assert not folder.exists()


@pytest.mark.parametrize("policy", ["IfNotPresent", "Always", "Never"])
async def test_what_pip_cannot_install_fails_the_pull_by_its_true_cause(
    tmp_path: Path, wheels: Path, policy: str
) -> None:
    images, _ = images_of(tmp_path, "kubediff-one==9 pytest")
    message = (
        f"from {tmp_path}/Dockerfile: RUN pip install kubediff-one==9 pytest: not installed alongside the sandbox: "
        "kubediff-one==9; and pip could not install what the image asks for: No matching distribution found for "
    )
    with pytest.raises(PullError, match=message) as caught:
        await images.obtain("shop/web:1", policy, {})
    assert caught.value.failure.value == ("ErrImageNeverPull" if policy == "Never" else "ErrImagePull")


async def test_an_image_whose_extras_alone_cannot_be_had_runs_and_says_so(tmp_path: Path, wheels: Path) -> None:
    images, asked = images_of(tmp_path, "psycopg[c]")
    for _ in range(2):
        image = (await images.obtain("shop/web:1", "IfNotPresent", {})).image
        assert "not installed alongside the sandbox: psycopg[c] (extras; pip: No matching" in image.notice
        assert "VIRTUAL_ENV" not in dict(image.environment)
    assert len(asked) == 1
