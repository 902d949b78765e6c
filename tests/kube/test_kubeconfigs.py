"""One context by itself: what is taken from a user's kubeconfig files, and that nothing else is."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.kube.errors import ContextError
from flametest.kube.kubeconfigs import kubeconfig_files, read_context
from tests.clusters.recording import write_kubeconfig

NAMES = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=12)


@given(names=st.lists(NAMES, min_size=1, max_size=5, unique=True), data=st.data())
def test_a_copy_holds_the_one_context_and_no_secret_of_another(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    wanted = data.draw(st.sampled_from(names))
    numbered = {name: f"https://10.0.0.{number}:6443" for number, name in enumerate(names)}
    file = write_kubeconfig(tmp_path_factory.mktemp("kube") / "config", **numbered)

    entry = read_context([file], wanted)
    document = entry.document("shop")

    assert entry.server == numbered[wanted]
    assert document["current-context"] == wanted
    assert [len(document[section]) for section in ("contexts", "clusters", "users")] == [1, 1, 1]
    assert document["contexts"][0]["context"]["namespace"] == "shop"
    assert document["users"][0]["user"] == {"token": f"token-of-{wanted}"}


def test_the_first_file_that_has_an_entry_wins_as_for_kubectl(tmp_path: Path) -> None:
    first = write_kubeconfig(tmp_path / "first", one="https://first:6443")
    second = write_kubeconfig(tmp_path / "second", one="https://second:6443", two="https://two:6443")
    files = kubeconfig_files(os.pathsep.join(map(str, (tmp_path / "missing", first, second))))
    assert read_context(files, "one").server == "https://first:6443"
    assert read_context(files, "two").server == "https://two:6443"


def test_paths_are_those_of_the_file_that_names_them(tmp_path: Path) -> None:
    folder = tmp_path / "kube"
    folder.mkdir()
    document: dict[str, Any] = {
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://x", "certificate-authority": "ca.pem"}}],
        "users": [
            {
                "name": "u",
                "user": {
                    "client-certificate": "/absolute.pem",
                    "client-key": "keys/own.pem",
                    "exec": {"command": "./login", "args": ["x"]},
                },
            }
        ],
    }
    file = folder / "config"
    file.write_text(json.dumps(document))

    entry = read_context([file], "one")

    assert entry.cluster["certificate-authority"] == str(folder / "ca.pem")
    assert entry.user["client-certificate"] == "/absolute.pem"
    assert entry.user["client-key"] == str(folder / "keys/own.pem")
    assert Path(entry.user["exec"]["command"]) == folder / "login"
    document["users"][0]["user"]["exec"]["command"] = "aws"
    file.write_text(json.dumps(document))
    assert read_context([file], "one").user["exec"]["command"] == "aws"


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (None, "does not exist", "KUBECONFIG"),
        ("{", "cannot be read", "fix"),
        ("[]", "holds no object", "fix"),
        ('{"contexts": [{"name": "other", "context": {}}]}', "has no context 'one'", "use one of: other"),
        ('{"contexts": [{"name": "one", "context": {"cluster": "c"}}]}', "no entry with a server", "fix"),
    ],
)
def test_what_cannot_be_used_is_told_with_a_remedy(tmp_path: Path, text: str | None, message: str, remedy: str) -> None:
    file = tmp_path / "config"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ContextError, match=message) as caught:
        read_context([file], "one")
    assert remedy in caught.value.remedy
