"""The catalogue of images, and images read from Dockerfiles."""

import os
import signal
from pathlib import Path

import pytest

from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images.catalogue import Catalogue, normal_reference
from flametest.sandbox.images.errors import PullError
from flametest.sandbox.images.image import Image
from flametest.sandbox.images.source import Images

IMAGES = '[[image]]\nname = "shop/web:1"\ncontext = "services/web"\n'
INSTALL = "RUN pip install -r requirements.txt\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/images.toml").write_text(IMAGES)
    (tmp_path / "services/web/code").mkdir(parents=True)
    (tmp_path / "services/web/code/app.py").write_text("print('hi')")
    (tmp_path / "services/web/requirements.txt").write_text("pytest>=8 # why\n# none\n-i https://example.invalid\n")
    return tmp_path


def image_of(repository: Path, dockerfile: str) -> Image:
    (repository / "services/web/Dockerfile").write_text(dockerfile)
    return Catalogue(repository / "manifests/images.toml").image("shop/web:1")


def test_the_configuration_comes_from_the_dockerfile(repository: Path) -> None:
    image = image_of(
        repository,
        """
        # a comment
        ARG BASE=busybox
        FROM ${BASE}:1
        ENV HOME_PAGE=/index.html \\
            LEVEL="very high"
        ENV PATH=/app/bin:$PATH
        WORKDIR /app
        WORKDIR code
        STOPSIGNAL SIGQUIT
        VOLUME /data
        USER 10001:20002
        ENTRYPOINT ["python", "-m"]
        CMD ["app"]
        """.replace("\n        ", "\n"),
    )
    environment = dict(image.environment)
    assert (environment["HOME_PAGE"], environment["LEVEL"]) == ("/index.html", "very high")
    assert environment["PATH"].startswith("/app/bin:/usr/local/sbin:")
    assert (image.working_directory, image.user, image.group) == ("/app/code", 10001, 20002)
    assert (image.entrypoint, image.command) == (("python", "-m"), ("app",))
    assert image.stop_signal == signal.SIGQUIT
    assert [(folder.path, folder.volatile) for folder in image.folders] == [("/data", True)]


def test_the_shell_form_goes_through_a_shell(repository: Path) -> None:
    assert image_of(repository, "FROM busybox\nCMD echo hi && sleep 1\n").command == (
        "/bin/sh",
        "-c",
        "echo hi && sleep 1",
    )


def test_copied_files_are_seen_at_their_destination(repository: Path) -> None:
    image = image_of(
        repository,
        "FROM busybox\nWORKDIR /app\nCOPY requirements.txt ./\nCOPY code ./code\nCOPY code/app.py /bin/app\n",
    )
    web = repository / "services/web"
    assert {bind.target: bind.source for bind in image.binds} == {
        "/app/requirements.txt": str(web / "requirements.txt"),
        "/app/code/app.py": str(web / "code/app.py"),
        "/bin/app": str(web / "code/app.py"),
    }
    assert all(bind.read_only for bind in image.binds)


def test_what_an_earlier_stage_copied_can_be_copied_on(repository: Path) -> None:
    image = image_of(
        repository,
        "FROM busybox AS build\nCOPY code /src\nRUN make\nFROM busybox\nCOPY --from=build --chown=1:1 /src /app\n",
    )
    assert [bind.target for bind in image.binds] == ["/app/app.py"]


def test_a_user_by_name_has_the_number_that_useradd_gave_it(repository: Path) -> None:
    image = image_of(repository, "FROM busybox\nRUN useradd --uid 4321 --no-create-home app\nUSER app\n")
    assert (image.user, image.user_name) == (4321, "app")


@pytest.mark.parametrize(
    ("policy", "begin"), [("IfNotPresent", ""), ("Never", 'Container image "shop/web:1" is not present .* of Never: ')]
)
async def test_a_requirement_that_is_not_installed_fails_the_pull_and_is_named(
    repository: Path, policy: str, begin: str
) -> None:
    (repository / "services/web/requirements.txt").write_text("pytest\nno-such-thing>=1\n")
    text = "FROM python:3.13-slim\nCOPY requirements.txt /\nRUN pip install --no-cache-dir -r /requirements.txt\n"
    image_of(repository, text)
    images = Images(Catalogue(repository / "manifests/images.toml"))
    message = (
        rf'{begin}failed to build image "shop/web:1" from {repository}/services/web/Dockerfile: '
        r"RUN pip install --no-cache-dir -r /requirements\.txt: not installed alongside the sandbox: no-such-thing>=1; "
        "install with: pip install 'no-such-thing>=1'"
    )
    with pytest.raises(PullError, match=message):
        await images.obtain("shop/web:1", policy, {})


def test_requirements_that_are_installed_are_satisfied(repository: Path) -> None:
    text = 'FROM python:3\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCMD ["python"]\n'
    image = image_of(repository, text)
    assert image.command == ("python",)
    assert image.packages is not None
    assert (image.packages.wanted, image.packages.missing) == (("pytest>=8",), ())


def test_a_changed_dockerfile_is_read_again(repository: Path) -> None:
    dockerfile = repository / "services/web/Dockerfile"
    dockerfile.write_text('FROM busybox\nCMD ["one"]\n')
    catalogue = Catalogue(repository / "manifests/images.toml")
    first = catalogue.image("shop/web:1")
    assert catalogue.image("shop/web:1") is first
    dockerfile.write_text('FROM busybox\nCMD ["two"]\n')
    os.utime(dockerfile, (1, 1_999_999_999))
    assert catalogue.image("shop/web:1").command == ("two",)


def test_requirements_that_have_changed_are_read_again(repository: Path) -> None:
    (repository / "services/web/Dockerfile").write_text(
        f"FROM busybox\nWORKDIR /app\nCOPY requirements.txt ./\n{INSTALL}"
    )
    catalogue = Catalogue(repository / "manifests/images.toml")
    packages = catalogue.image("shop/web:1").packages
    assert packages is not None
    assert packages.missing == ()
    requirements = repository / "services/web/requirements.txt"
    requirements.write_text("no-such-thing\n")
    os.utime(requirements, (1, 1_999_999_999))
    packages = catalogue.image("shop/web:1").packages
    assert packages is not None
    assert packages.missing == ("no-such-thing",)


def test_packages_that_have_been_installed_beside_the_sandbox_are_seen(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "services/web/Dockerfile").write_text("FROM busybox\nRUN pip install kubediff-none\n")
    catalogue = Catalogue(repository / "manifests/images.toml")
    packages = catalogue.image("shop/web:1").packages
    assert packages is not None
    assert packages.missing == ("kubediff-none",)
    information = repository / "installed/kubediff_none-1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: kubediff-none\nVersion: 1\n")
    monkeypatch.syspath_prepend(information.parent)
    packages = catalogue.image("shop/web:1").packages
    assert packages is not None
    assert packages.missing == ()


def test_the_dockerfile_may_lie_below_its_context(repository: Path) -> None:
    (repository / "manifests/images.toml").write_text(
        '[[image]]\nname = "shop/web:1"\ncontext = "services"\ndockerfile = "web/Dockerfile"\n'
    )
    (repository / "services/kit").mkdir()
    (repository / "services/kit/shared.py").touch()
    image = image_of(
        repository,
        f"FROM busybox\nWORKDIR /app\nCOPY web/requirements.txt ./\n{INSTALL}COPY kit ./kit\nCOPY web/code ./code\n",
    )
    assert [bind.target for bind in image.binds] == ["/app/requirements.txt", "/app/kit/shared.py", "/app/code/app.py"]
    with pytest.raises(PullError, match="COPY code: not found"):
        image_of(repository, "FROM busybox\nCOPY code ./code\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM busybox\nCOPY nothing /x\n", "COPY nothing: not found"),
        ("CMD x\n", "has no FROM"),
        ("FROM busybox\nSTOPSIGNAL SIGNONE\n", "no such signal"),
        ("FROM unheard/of:1\n", "FROM unheard/of:1: not found: a Dockerfile is read, not built"),
    ],
)
def test_a_dockerfile_that_cannot_be_used_fails_the_pull(repository: Path, text: str, message: str) -> None:
    with pytest.raises(PullError, match=message):
        image_of(repository, text)


def test_an_unknown_image_or_tag_is_not_found() -> None:
    for reference in ("kubediff/none:1", "redis:no-such-tag", "example.com/redis:7"):
        with pytest.raises(PullError, match="not found"):
            Catalogue().image(reference)


@pytest.mark.parametrize(
    ("reference", "normal"),
    [
        ("redis", ("redis", "latest")),
        ("docker.io/library/redis:7.2-alpine", ("redis", "7.2-alpine")),
        ("example.com:5000/a/b", ("example.com:5000/a/b", "latest")),
        (f"shop/web:1@sha256:{'0' * 64}", ("shop/web", "1")),
    ],
)
def test_references_are_compared_by_name_and_tag(reference: str, normal: tuple[str, str]) -> None:
    assert normal_reference(reference) == normal


def test_an_image_of_another_version_than_its_tag_says_so() -> None:
    notice = Catalogue().image("redis:99").notice
    assert "for the tag 99" in notice
    assert Catalogue().image("redis:latest").notice == ""


def test_images_that_are_handed_over_come_first() -> None:
    mine = Image("kubediff/echo:1", command=("serve",))
    assert Catalogue(extra={"kubediff/echo:1": mine}).image("docker.io/kubediff/echo:1") is mine


def test_a_broken_list_of_images_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "images.toml"
    file.write_text("[[image]]\nname = 3\n")
    with pytest.raises(SandboxError, match="cannot read") as caught:
        Catalogue(file)
    assert "context" in caught.value.remedy


def test_what_stands_for_a_well_known_image_is_no_longer_that_once_something_was_added(repository: Path) -> None:
    assert Catalogue().image("busybox:1").is_stand_in
    assert not image_of(repository, "FROM busybox:1\nCOPY code /app\n").is_stand_in
