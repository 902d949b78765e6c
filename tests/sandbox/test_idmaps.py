"""Which ids an ordinary user has beside his own, and that files of theirs go."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox import idmaps
from flametest.sandbox.idmaps import IdRange, parse_ranges
from flametest.sandbox.removal import remove_tree
from tests.sandbox.ordinary_user import OrdinaryUser

MAPPED = """
import os, sys
from pathlib import Path
from flametest.sandbox import idmaps, namespaces
namespaces.enter_user_namespace()
print(idmaps.has_other_users(), idmaps.are_mapped(users=[999], groups=[65534]), idmaps.are_mapped(users=[70_000]))
for line in idmaps.remedy().split("; "):
    print(line)
if idmaps.has_other_users():
    folder = Path(sys.argv[1], "tree", "inner")
    folder.mkdir(parents=True)
    (folder / "file").touch()
    os.chown(folder, 999, 999)
    folder.chmod(0o700)
"""
REMOVE = """
import sys
from pathlib import Path
from flametest.sandbox.removal import remove_tree
remove_tree(Path(sys.argv[1], "tree"))
"""

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can run tests as somebody who has other ids")

names = st.sampled_from(["ann", "1000", "bob"])
ranges = st.builds(IdRange, st.integers(0, 1 << 31), st.integers(1, 1 << 20))


@given(st.lists(st.tuples(names, ranges)))
def test_ranges_are_those_of_the_user_by_name_and_number(rows: list[tuple[str, IdRange]]) -> None:
    text = "".join(f"{name}:{one.first}:{one.count}\n" for name, one in rows)
    assert parse_ranges(text, ["ann", "1000"]) == tuple(one for name, one in rows if name != "bob")
    assert parse_ranges(text) == tuple(one for _, one in rows)


@pytest.mark.parametrize(
    "line", ["ann", "ann:1", "ann:1:2:3", "ann:a:2", "ann:-1:2", "ann:1:0", "#ann:1:2", "ann:٣:4", ""]
)
def test_lines_that_mean_nothing_count_for_nothing(line: str) -> None:
    assert parse_ranges(f"{line}\nann:5:6\n", ["ann"]) == (IdRange(5, 6),)


@given(st.text(alphabet="an:0123456789\n# "))
def test_no_text_is_an_error(text: str) -> None:
    for one in parse_ranges(text):
        assert one.count > 0
        assert one.first in one
        assert one.first + one.count not in one


@needs_root
@pytest.mark.parametrize(("given_ids", "others"), [("700000:65536", True), ("", False), ("700000:0", False)])
def test_what_was_given_is_mapped(given_ids: str, others: bool) -> None:
    with OrdinaryUser.existing(given_ids) as user:
        printed = user.run(MAPPED, str(user.home), seconds_max=60).splitlines()
        assert printed[0] == f"{others} {others} False"
        ids = "765536-831071" if others else "100000-165535"
        command = f"as root: usermod --add-subuids {ids} --add-subgids {ids} ordinary"
        assert printed[1].startswith(command if not others else "as root: more ids in /etc/subuid")
        if others:
            assert (user.home / "tree/inner").stat().st_uid == 700_998
        user.run(REMOVE, str(user.home), seconds_max=60)
        assert not (user.home / "tree").exists()


@needs_root
def test_a_program_that_does_not_map_leaves_one_id(tmp_path: Path) -> None:
    """Here it may not, as with every file system that is mounted without set-uid programs."""
    with OrdinaryUser.existing("700000:65536") as user:
        printed = user.run(MAPPED, str(user.home), seconds_max=60, privileges=False).splitlines()
        assert printed[0] == "False False False"
        assert printed[1].startswith("let newuidmap and newgidmap be set-uid programs")
        assert not (user.home / "tree").exists()


def test_root_has_every_id_and_the_machine_too() -> None:
    assert idmaps.is_initial() == (Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"])
    if idmaps.is_initial():
        assert idmaps.has_other_users()
        assert idmaps.fingerprint() == ""
        assert idmaps.are_mapped(users=[1_000_690_000], groups=[0])


def test_folders_are_removed_whatever_their_modes(tmp_path: Path) -> None:
    for name in ("closed/inner", "read-only/inner"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        (tmp_path / "tree" / name / "file").touch()
    (tmp_path / "tree/closed").chmod(0)
    (tmp_path / "tree/read-only/inner").chmod(0o500)
    remove_tree(tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []
    remove_tree(tmp_path / "tree")
