"""What RUN instructions install, read without running them."""

import os
import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from flametest.sandbox.images.catalogue import Catalogue
from flametest.sandbox.images.commands import read_run, without_runner
from flametest.sandbox.images.environments import with_environment
from flametest.sandbox.images.errors import PullError
from flametest.sandbox.images.image import Image, Link
from flametest.sandbox.images.installs import changes_image, requirements_of
from flametest.sandbox.images.requirements import Requirements, missing, of_file, of_lock, of_project

FILES = {
    "requirements.txt": "one>=1 # why\n-r more/base.txt\n# none\n-i https://example.invalid\n",
    "more/base.txt": "-c pins.txt\ntwo==2 \\\n  --hash=sha256:00\nnever ; python_version < '3'\n",
    "more/pins.txt": "three==3\n",
    "pyproject.toml": (
        "[project]\nname = 'no-such-project'\ndependencies = ['one>=1']\n"
        "[project.optional-dependencies]\nweb = ['two']\n"
    ),
    "uv.lock": (
        "[[package]]\nname = 'one'\nversion = '1.5'\n[[package]]\nname = 'deep'\nversion = '7'\n"
        "[[package]]\nname = 'no-such-project'\nversion = '0'\nsource = { virtual = '.' }\n"
        "[[package]]\nname = 'split'\nversion = '1'\n[[package]]\nname = 'split'\nversion = '2'\n"
    ),
    "poetry.lock": "[[package]]\nname = 'One'\nversion = '1.6'\n",
    "Pipfile": "[packages]\none = '*'\ntwo = {version = '~=2.0', extras = ['x']}\nown = {path = '.'}\n",
}


def found(command: str, files: dict[str, str] | None = None) -> Requirements | None:
    there = FILES if files is None else files
    return requirements_of(shlex.split(command), lambda path: there.get(os.path.normpath(path)))


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("pip install fastapi httpx", ["fastapi", "httpx"]),
        ("pip3 --no-cache-dir install -U 'uvicorn[standard]>=0.3'", ["uvicorn[standard]>=0.3"]),
        ("python -m pip install --upgrade pip flask==3.0", ["flask==3.0"]),
        ("/usr/bin/python3.11 -m pip install 'a~=1.2' --index-url https://example.invalid b", ["a~=1.2", "b"]),
        ("pip install --target /x --prefix=/y one", ["one"]),
        ("uv pip install --system -r requirements.txt", ["one>=1", "two==2", 'never; python_version < "3"']),
        ("uv pip sync more/base.txt", ["two==2", 'never; python_version < "3"']),
        ("pip install -Ur requirements.txt", ["one>=1", "two==2", 'never; python_version < "3"']),
        ("pip install --requirement=more/base.txt -cmore/pins.txt four", None),
        ("pip install .[web]", ["one>=1", "two"]),
        ("pip install --editable .", ["one>=1"]),
        ("uv sync --frozen --extra web", ["one==1.5", "two"]),
        ("poetry install --no-root --only main", ["one==1.6"]),
        ("poetry export -f requirements.txt -o requirements.txt", ["one==1.6"]),
        ("pipenv install --system --deploy", ["one", "two[x]~=2.0"]),
        ("pipenv install flask", ["flask"]),
        ("pip install uv poetry", []),
    ],
)
def test_each_way_to_install_is_understood(command: str, wanted: list[str] | None) -> None:
    got = found(command)
    assert got is not None
    if wanted is None:
        wanted = ["two==2", 'never; python_version < "3"', "four"]
        assert got.constraints == ("three==3",)
    assert sorted(got.wanted) == sorted(str(Requirement(text)) for text in wanted)


def test_a_lock_is_kept_to_and_what_it_holds_more_is_a_constraint() -> None:
    got = found("uv sync")
    assert got is not None
    assert got.constraints == ("one==1.5", "deep==7")
    lock = '{"default": {"one": {"version": "==1.1", "markers": "python_version >= \'3\'"}}, "develop": {"dev": {}}}'
    got = found("pipenv sync", FILES | {"Pipfile.lock": lock})
    assert got is not None
    assert got.wanted == ('one==1.1; python_version >= "3"',)
    assert of_lock("").constraints == ()


@pytest.mark.parametrize(
    ("version", "specifier"),
    [
        ("^1.2.3", "<2,>=1.2.3"),
        ("^0.2.3", "<0.3,>=0.2.3"),
        ("^0.0.3", "<0.0.4,>=0.0.3"),
        ("^0", "<1,>=0"),
        ("~1.2.3", "<1.3,>=1.2.3"),
        ("~1", "<2,>=1"),
        ("1.2", "==1.2"),
        ("1.*", "==1.*"),
        ("*", ""),
        (">=1,<2", "<2,>=1"),
        ("~=1.4", "~=1.4"),
    ],
)
def test_the_versions_of_poetry_become_specifiers(version: str, specifier: str) -> None:
    text = f"[tool.poetry.dependencies]\npython = '^3.11'\nOne = '{version}'\n"
    assert of_project(text).wanted == (f"One{specifier}",)


@pytest.mark.parametrize(
    ("command", "unfollowed"),
    [
        ("pip install ./wheels/one.whl", "./wheels/one.whl"),
        ("pip install git+https://example.invalid/x.git", "git+https://example.invalid/x.git"),
        ("pip install .", "the project no-such-project itself"),
        ("pip install -r none.txt", "-r none.txt"),
        ("pip install -c none.txt one", "-c none.txt"),
        ("pipenv install", "own from path ."),
    ],
)
def test_what_is_not_followed_is_told(command: str, unfollowed: str) -> None:
    got = found(command)
    assert got is not None
    assert got.unfollowed == (unfollowed,)


@pytest.mark.parametrize(
    "command",
    [
        "apt-get install -y libpq5",
        "apk add --no-cache curl",
        "npm ci",
        "make",
        "python manage.py migrate",
        "uv add one",
    ],
)
def test_a_command_that_changes_what_runs_is_told_apart(command: str) -> None:
    assert requirements_of(shlex.split(command), FILES.get) is None
    assert changes_image(shlex.split(command))


@pytest.mark.parametrize(
    "command",
    [
        "apt-get update",
        "rm -rf /var/lib/apt/lists/*",
        "mkdir -p /data",
        "useradd -u 1000 app",
        "chown -R app /data",
        "python -m compileall -q .",
        "python3 -m venv /opt/venv",
        "poetry config virtualenvs.create false",
    ],
)
def test_a_command_that_no_service_could_miss_is_not_told(command: str) -> None:
    assert requirements_of(shlex.split(command), FILES.get) is None
    assert not changes_image(shlex.split(command))


def test_commands_are_told_apart() -> None:
    text = """--mount=type=cache,target=/root/.cache --mount=type=bind,source=a.txt,target=b.txt \
        set -e; LEVEL=1 pip install "a>=1" b > /dev/null 2>&1 && (cd /x || true) | bash -ec 'make one && make two'"""
    run = read_run(text)
    assert run.mounts == (("b.txt", "a.txt"),)
    assert run.commands == (
        ("set", "-e"),
        ("pip", "install", "a>=1", "b"),
        ("cd", "/x"),
        ("true",),
        ("make", "one"),
        ("make", "two"),
    )
    assert read_run('["pip", "install", "a b"]').commands == (("pip", "install", "a b"),)
    assert read_run("pip install x@git+https://h/p#egg=x").commands[0][-1] == "x@git+https://h/p#egg=x"
    assert read_run('adduser --gecos "" app && true').commands == (("adduser", "--gecos", "", "app"), ("true",))
    with pytest.raises(ValueError, match="quotation"):
        read_run("echo 'open")


@pytest.mark.parametrize(
    ("command", "left"),
    [
        ("uv run --no-sync uvicorn app:app", "uvicorn app:app"),
        ("uv run app.py", "python app.py"),
        ("pipenv run python -m app", "python -m app"),
        ("uv run --with one app", "uv run --with one app"),
        ("gunicorn app", "gunicorn app"),
    ],
)
def test_a_runner_is_left_out_of_the_command(command: str, left: str) -> None:
    assert without_runner(tuple(command.split())) == tuple(left.split())


def test_a_runner_is_left_out_of_a_command_of_the_shell() -> None:
    shell = ("/bin/sh", "-c", "exec poetry run gunicorn app --bind $X")
    assert without_runner(shell) == (*shell[:2], "exec gunicorn app --bind $X")


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}(-[a-z0-9]{1,4})?", fullmatch=True)
VERSIONS = st.lists(st.integers(0, 99), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
SPECIFIERS = st.tuples(st.sampled_from(["==", ">=", "<=", "!=", "<", ">"]), VERSIONS).map("".join)
REQUIREMENTS = st.builds(
    lambda name, extras, specifiers: str(Requirement(f"{name}{extras}{','.join(specifiers)}")),
    NAMES.filter(lambda name: name not in ("pip", "uv", "poetry", "pipenv", "wheel")),
    st.sampled_from(["", "[a]", "[a,b]"]),
    st.lists(SPECIFIERS, max_size=2, unique=True),
)
OPTIONS = st.sampled_from(["", "--no-cache-dir", "-U", "--index-url https://example.invalid", "--timeout=3", "-q"])


@given(
    st.sampled_from(["pip install", "python -m pip install", "uv pip install --system", "X=1 pip3 --no-input install"]),
    st.lists(st.tuples(OPTIONS, REQUIREMENTS), min_size=1, max_size=6),
    st.booleans(),
)
def test_any_requirements_on_a_command_line_are_found(tool: str, parts: list[tuple[str, str]], lists: bool) -> None:
    words = " ".join(f"{option} {shlex.quote(text)}" for option, text in parts)
    text = f"true && {tool} {words}" + (" && rm -rf /tmp/x" if lists else "")
    got = [requirements_of(command, FILES.get) for command in read_run(text).commands]
    assert [one.wanted for one in got if one is not None] == [tuple(dict.fromkeys(text for _, text in parts))]


@given(st.lists(REQUIREMENTS, max_size=6), st.sampled_from(["", "  # why", " --hash=sha256:0 --hash=sha256:1"]))
def test_any_requirements_of_a_file_are_found(wanted: list[str], end: str) -> None:
    text = "# first\n\n" + "".join(f"{one}{end}\r\n" for one in wanted)
    assert of_file(text, FILES.get) == Requirements(tuple(dict.fromkeys(wanted)))


@given(st.text(max_size=60))
def test_no_text_of_a_run_breaks_the_reading(text: str) -> None:
    try:
        run = read_run(text)
    except ValueError:  # a quotation without an end
        return
    for command in run.commands:
        assert requirements_of(command, FILES.get) is not None or isinstance(changes_image(command), bool)


def test_requirements_are_compared_with_what_is_installed() -> None:
    version = metadata.version("pytest")
    wanted = ["pytest", f"pytest=={version}", "pytest<1", "no-such-thing", "no-such-thing; python_version < '3'"]
    assert missing(wanted) == ("pytest<1", "no-such-thing")
    # psycopg is installed with this extra, and with no compiled code of its own.
    assert missing(["psycopg[binary]", "psycopg[c]"]) == ("psycopg[c]",)
    assert missing(["psycopg[c]"], extras=False) == ()


def image_of(folder: Path, dockerfile: str, base: str = "FROM scratch\n") -> Image:
    (folder / "manifests").mkdir()
    (folder / "manifests/images.toml").write_text(
        '[[image]]\nname = "shop/web:1"\ncontext = "."\n'
        '[[image]]\nname = "shop/base:1"\ncontext = "."\ndockerfile = "base"\n'
    )
    (folder / "base").write_text(base)
    (folder / "Dockerfile").write_text(dockerfile)
    return Catalogue(folder / "manifests/images.toml").image("shop/web:1")


def test_an_image_asks_for_all_that_its_stages_install(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/base.txt").write_text("no-such-base\n")
    dockerfile = (
        "ARG V=1\nFROM python:3 AS unused\nRUN pip install no-such-unused\n"
        "FROM python:3 AS build\nARG V=9\nWORKDIR /app\nCOPY requirements requirements\nRUN apt-get install -y gcc \\\n"
        "  && pip install --user -r requirements/base.txt\n"
        "FROM python:3\nARG V=7\nCOPY --from=build /root/.local /root/.local\nRUN pip install pytest no-such==$V\n"
    )
    image = image_of(tmp_path, dockerfile)
    assert image.packages is not None
    assert image.packages.wanted == ("no-such-base", "pytest", "no-such==7")
    assert image.packages.missing == ("no-such-base", "no-such==7")
    assert image.packages.instruction == f"{tmp_path}/Dockerfile: RUN pip install --user -r requirements/base.txt"
    assert image.notice.endswith("not followed: RUN apt-get install -y gcc")


def test_an_image_has_the_packages_of_its_base_too(tmp_path: Path) -> None:
    image_of(tmp_path, "FROM shop/base:1\nRUN pip install no-such\n", base="FROM python:3\nRUN pip install pytest\n")
    packages = Catalogue(tmp_path / "manifests/images.toml").image("shop/web:1").packages
    assert packages is not None
    assert (packages.wanted, packages.missing) == (("pytest", "no-such"), ("no-such",))
    (tmp_path / "Dockerfile").write_text("FROM shop/base:1\n")
    packages = Catalogue(tmp_path / "manifests/images.toml").image("shop/web:1").packages
    assert packages is not None
    assert packages.wanted == ("pytest",)


def test_requirements_files_that_name_one_another_fail_the_pull(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r a.txt\n")
    with pytest.raises(PullError, match=r"RUN pip install -r a\.txt: "):
        image_of(tmp_path, "FROM python:3\nCOPY a.txt .\nRUN pip install -r a.txt\n")


def test_a_requirements_file_may_be_mounted_or_exported(tmp_path: Path) -> None:
    (tmp_path / "wanted.txt").write_text("no-such-mounted\n")
    (tmp_path / "pyproject.toml").write_text("[tool.poetry.dependencies]\nno-such-exported = '^1'\n")
    dockerfile = (
        "FROM python:3 AS lock\nCOPY pyproject.toml .\nRUN poetry export -o requirements.txt\n"
        "FROM python:3\nWORKDIR /app\nCOPY --from=lock /requirements.txt .\nRUN pip install -r requirements.txt\n"
        "RUN --mount=type=bind,source=wanted.txt,target=w.txt pip install -r w.txt\n"
    )
    packages = image_of(tmp_path, dockerfile).packages
    assert packages is not None
    assert packages.wanted == ("no-such-exported<2,>=1", "no-such-mounted")


def test_a_virtual_environment_of_the_dockerfile_is_the_one_that_the_image_runs_by(tmp_path: Path) -> None:
    text = (
        "FROM python:3 AS build\nRUN virtualenv -p python3 /opt/venv\n"
        "FROM python:3\nCOPY --from=build /opt/venv /opt/venv\n"
        "WORKDIR /app\nRUN uv venv && python -m venv --copies env\n"
    )
    image = image_of(tmp_path, text)
    assert image.links == tuple(Link(path, sys.prefix) for path in ("/opt/venv", "/app/.venv", "/app/env"))
    made = with_environment(image, Path("/store/environments/1"))
    assert {link.target for link in made.links} == {"/store/environments/1"}
    assert "not followed" not in image.notice


@pytest.mark.parametrize("begin", ["<<EOF", "--mount=type=cache,target=/x <<-'EOF'"])
def test_a_here_document_is_read_as_commands(tmp_path: Path, begin: str) -> None:
    text = f"FROM python:3\nRUN {begin}\n# why\nset -e\npip install no-such \\\n  no-such-two\nmake\nEOF\nUSER 7\n"
    image = image_of(tmp_path, text)
    assert image.packages is not None
    assert image.packages.wanted == ("no-such", "no-such-two")
    assert image.notice.endswith("not followed: RUN make")
    assert image.user == 7


def test_a_requirements_file_that_nothing_brings_fails_the_pull(tmp_path: Path) -> None:
    with pytest.raises(PullError, match=r"RUN pip install -r x\.txt: no COPY brings the file x\.txt"):
        image_of(tmp_path, "FROM python:3\nRUN pip install -r x.txt\n")


def test_passwords_are_not_told(tmp_path: Path) -> None:
    text = "FROM python:3\nENV TOKEN=secret\nRUN curl https://me:secret@example.invalid/$TOKEN | sh\n"
    image = image_of(tmp_path, text)
    assert "curl https://***@example.invalid/$TOKEN" in image.notice
    assert "secret" not in image.notice
