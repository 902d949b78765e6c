"""Which files of a build context count: those that a builder would send."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.clusters.buildcontext import context_files, is_left_out, read_rules


def sent(context: Path, dockerfile: str = "Dockerfile") -> list[str]:
    """Return what is sent, as paths relative to the context."""
    return [path.relative_to(context).as_posix() for path in context_files(context, dockerfile)]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name in (
        *("Dockerfile", "README.md", "api/Dockerfile", "api/main.py", "api/parts/one.py", "api/__pycache__/main.pyc"),
        *("logic/main.py", "node/deep/secret.key", "secret.key"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_without_rules_everything_but_bytecode_is_sent_and_the_dockerfile_last(context: Path) -> None:
    expected = ["README.md", "secret.key", "api/Dockerfile", "api/main.py", "api/parts/one.py", "logic/main.py"]
    assert sent(context) == [*expected, "node/deep/secret.key", "Dockerfile"]


@pytest.mark.parametrize("everything", ["*", "**"])
def test_a_list_of_exceptions_keeps_these_alone_and_the_dockerfile_all_the_same(context: Path, everything: str) -> None:
    (context / ".dockerignore").write_text(f"# what is copied\n\n{everything}\n!api/main.py\n!api/parts\n")
    assert sent(context, "api/Dockerfile") == ["api/main.py", "api/parts/one.py", "api/Dockerfile"]
    (context / ".dockerignore").write_text(f"{everything}\n")
    assert sent(context, "api/Dockerfile") == ["api/Dockerfile"]


def test_the_order_is_the_same_whatever_order_the_disk_has(context: Path) -> None:
    before = sent(context)
    (context / "README.md").unlink()
    (context / "README.md").write_text("again")
    assert sent(context) == before


@pytest.mark.parametrize(
    ("text", "path", "left_out"),
    [
        ("secret.key", "secret.key", True),
        ("secret.key", "node/deep/secret.key", False),
        ("**/secret.key", "node/deep/secret.key", True),
        ("**/secret.key", "secret.key", True),
        ("*.key", "secret.key", True),
        ("*.key", "node/secret.key", False),
        ("*/deep", "node/deep/secret.key", True),
        ("/node/", "node/deep/secret.key", True),
        ("node", "nodes", False),
        ("?ode", "node/deep", True),
        ("[mn]ode", "node", True),
        ("a.b", "aXb", False),
        ("*\n!*.md", "README.md", False),
        ("*\n!*.md\nREADME.md", "README.md", True),
        ("!README.md\n*", "README.md", True),
    ],
)
def test_the_last_rule_that_matches_a_path_or_a_folder_above_it_counts(text: str, path: str, left_out: bool) -> None:
    assert is_left_out(PurePosixPath(path), read_rules(text)) is left_out


NAMES = st.text("ab", min_size=1, max_size=2)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
LINES = st.builds(
    lambda exception, parts: ("!" if exception else "") + "/".join(parts),
    st.booleans(),
    st.lists(NAMES | st.sampled_from(["*", "**", "?", "a*"]), min_size=1, max_size=3),
)


@given(st.lists(PATHS, min_size=1, max_size=6, unique=True), st.lists(LINES, max_size=4))
def test_leaving_folders_unread_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str], lines: list[str]
) -> None:
    context = tmp_path_factory.mktemp("context")
    for path in sorted(paths, key=len, reverse=True):
        if not (context / path).exists():
            (context / path).parent.mkdir(parents=True, exist_ok=True)
            (context / path).touch()
    (context / ".dockerignore").write_text("\n".join(lines))
    rules = read_rules("\n".join(lines))
    everything = {path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file()}
    expected = {path for path in everything if not is_left_out(PurePosixPath(path), rules)}
    assert set(sent(context)) - {"Dockerfile"} == expected
