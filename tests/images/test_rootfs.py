"""Paths and users in a root that may be hostile."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.sandbox.images.rootfs import NoSuchUserError, make_place, resolved, user_of

GROUP = "root:x:0:\nstaff:x:50:ann,bob\nred:x:998:\nbroken\nlog:x:44:ann\n"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:998:Ann:/home/ann:/bin/sh\n# a comment\n1001:x:7:7::/seven:\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "outer" / "root"
    (made / "etc").mkdir(parents=True)
    (made / "etc" / "passwd").write_text(PASSWD)
    (made / "etc" / "group").write_text(GROUP)
    return made


@pytest.mark.parametrize(
    ("target", "path", "found"),
    [
        ("/etc", "link/hosts", "/etc/hosts"),
        ("../../../etc", "link/hosts", "/etc/hosts"),
        ("../..", "link/new", "/new"),
        ("link2", "link", "/link2"),
        ("/oldroot/etc", "link/hosts", "/oldroot/etc/hosts"),
    ],
)
def test_links_are_followed_inside_the_root(root: Path, target: str, path: str, found: str) -> None:
    (root / "link").symlink_to(target)
    assert resolved(root, path) == found


def test_links_in_a_circle_are_an_error(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError, match="too many links"):
        resolved(root, "/a/b")


def test_places_are_made_inside_whatever_links_say(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "run").symlink_to(outside)
    place = make_place(root, "/run/secrets/token", folder=False)
    assert (root / place.lstrip("/")).is_file()
    assert not list(outside.iterdir())


def test_a_place_of_the_wrong_kind_is_an_error(root: Path) -> None:
    with pytest.raises(NotADirectoryError, match="is a folder"):
        make_place(root, "/etc", folder=False)
    with pytest.raises(NotADirectoryError, match="is a file"):
        make_place(root, "/etc/passwd", folder=True)


names = st.sampled_from(["a", "b", "c", "..", ".", "etc"])
paths = st.lists(names, min_size=1, max_size=6).map("/".join)


@settings(max_examples=200, deadline=None)
@given(links=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.tuples(st.booleans(), paths)), path=paths)
def test_no_path_leads_out(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, tuple[bool, str]], path: str
) -> None:
    outer = tmp_path_factory.mktemp("outer")
    root = outer / "root"
    root.mkdir()
    for name, (absolute, target) in links.items():
        (root / name).symlink_to(f"/{target}" if absolute else target)
    try:
        place = make_place(root, path, folder=True)
    except OSError:
        place = "/"
    assert os.path.realpath(root / place.lstrip("/")) == os.path.normpath(f"{root}/{place}")
    assert [one.name for one in outer.iterdir()] == ["root"]


@pytest.mark.parametrize(
    ("text", "ids", "groups", "home"),
    [
        ("", (0, 0), (), "/root"),
        ("ann", (1000, 998), (44, 50), "/home/ann"),
        ("1000", (1000, 998), (44, 50), "/home/ann"),
        ("ann:staff", (1000, 50), (), "/home/ann"),
        ("ann:7", (1000, 7), (), "/home/ann"),
        ("5:6", (5, 6), (), "/"),
        ("5", (5, 0), (), "/"),
        ("1001", (7, 7), (), "/seven"),
        (":staff", (0, 50), (), "/root"),
    ],
)
def test_users_are_those_of_the_image(
    root: Path, text: str, ids: tuple[int, int], groups: tuple[int, ...], home: str
) -> None:
    found = user_of(root, text)
    assert (found.user, found.group) == ids
    assert found.groups == groups
    assert found.home == home


@pytest.mark.parametrize("text", ["eve", "ann:eve", "eve:0", "-1"])
def test_a_user_that_the_image_does_not_have_is_an_error(root: Path, text: str) -> None:
    with pytest.raises(NoSuchUserError, match="no matching entries"):
        user_of(root, text)


def test_databases_that_are_no_files_of_the_image_are_not_read(root: Path, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("eve:x:0:0::/:\n")
    (root / "etc" / "passwd").unlink()
    (root / "etc" / "passwd").symlink_to(tmp_path / "passwd")
    (root / "etc" / "group").unlink()
    os.mkfifo(root / "etc" / "group")
    with pytest.raises(NoSuchUserError):
        user_of(root, "eve")
    assert user_of(root, "5:6").group == 6


def test_what_is_no_file_names_no_user(root: Path) -> None:
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").mkdir()
    (root / "etc/group").unlink()
    (root / "etc/group").symlink_to("group")
    assert user_of(root, "5:6").user == 5
    with pytest.raises(NoSuchUserError):
        user_of(root, "ann")
    (root / "etc/passwd").rmdir()
    os.mkfifo(root / "etc/passwd")
    with pytest.raises(NoSuchUserError):
        user_of(root, "0:staff")
