"""Whatever a kubeconfig holds, it is used or refused in one line; nothing of it is a traceback."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flametest.kube import connect
from flametest.kube.errors import ContextError
from flametest.kube.kubeconfigs import kubeconfig_files, read_context
from flametest.model.errors import FlametestError

KEYS = {
    "cluster": (
        "server",
        "certificate-authority",
        "certificate-authority-data",
        "insecure-skip-tls-verify",
        "proxy-url",
        "tls-server-name",
        "extensions",
    ),
    "user": (
        *("token", "tokenFile", "username", "password", "client-certificate", "client-certificate-data"),
        *("client-key", "client-key-data", "as", "as-uid", "as-groups", "as-user-extra", "exec", "auth-provider"),
    ),
}
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["https://127.0.0.1:1", "http://[::1", "socks5://x", "~nobody/x", "/", "/dev/null", "AAAA", "\ud800", "a\r\nb"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=4) | st.dates()
EXEC_KEYS = st.sampled_from(["command", "args", "env", "apiVersion", "interactiveMode", "provideClusterInfo", "name"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(EXEC_KEYS | SCALARS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """Return a kubeconfig that has the usual shape, with anything at all in its entries."""

    def entry(kind: str) -> Any:
        fields = {key: draw(VALUES) for key in draw(st.sets(st.sampled_from(KEYS[kind]), max_size=5))}
        return {"server": "https://127.0.0.1:1"} | fields if kind == "cluster" else fields

    context = {"cluster": draw(st.sampled_from(["c", 1, None])), "user": draw(st.sampled_from(["u", 1, None]))}
    document: dict[str, Any] = {
        "contexts": [{"name": "one", "context": context}],
        "clusters": [{"name": draw(st.sampled_from(["c", 1])), "cluster": entry("cluster")}],
        "users": [{"name": draw(st.sampled_from(["u", 1])), "user": entry("user")}],
    }
    if draw(st.integers(0, 5)) == 0:
        document[draw(st.sampled_from(sorted(document)))] = draw(VALUES)
    return document


def error_of(path: Path) -> FlametestError | None:
    """Return why a kubeconfig is refused; None when it is used."""
    try:
        entry = read_context([path], "one")
        json.dumps(entry.document("shop")).encode()
        with connect(path, "one"):
            return None
    except FlametestError as error:
        return error


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(document=documents())
def test_any_kubeconfig_is_used_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    path = tmp_path_factory.mktemp("kube") / "config"
    path.write_text(yaml.safe_dump(document, allow_unicode=False), encoding="utf-8")
    error = error_of(path)
    assert error is None or ("\n" not in error.message and error.remedy)


@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_file_is_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("kube") / "config"
    path.write_bytes(content)
    with pytest.raises(ContextError) as raised:
        read_context([path], "one")
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        "x: 2020-13-45",
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]",
        "[" * 5000,
        "a: &a [*a]",
        "!!python/object/apply:os.system [true]",
        "contexts: !!set {a, b}",
        "? [a]\n: b",
        "- x\n---\n- y",
    ],
    ids=range(8),
)
def test_what_yaml_stumbles_over_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ContextError):
        read_context([path], "one")


@pytest.mark.parametrize("named", ["~nobody-of-this-name/config", "/", "x" * 5000, "/dev/null/x", ":::"])
def test_a_kubeconfig_that_is_no_file_is_refused(named: str) -> None:
    with pytest.raises(ContextError):
        read_context([one for one in kubeconfig_files(named) if one != Path.home() / ".kube" / "config"], "one")


def test_names_and_dates_that_yaml_takes_for_others_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "config"
    day = datetime.date(2026, 1, 2)
    path.write_text(
        "contexts: [{name: 1, context: {cluster: 2, user: 3}}]\n"
        "clusters: [{name: 2, cluster: {server: 'https://x'}}]\n"
        f"users: [{{name: 3, user: {{token: 12, auth-provider: {{config: {{expiry: {day}}}}}}}}}]\n"
    )
    entry = read_context([path], "1")
    assert json.loads(json.dumps(entry.document("shop")))["users"][0]["user"]["auth-provider"]["config"]["expiry"] == (
        "2026-01-02"
    )
    with connect(path, "1") as client:
        assert client.api.context == "1"


def test_a_user_who_is_named_and_not_there_is_no_user_without_credentials(tmp_path: Path) -> None:
    path = tmp_path / "config"
    context = {"contexts": [{"name": "one", "context": {"cluster": "c", "user": "gone"}}]}
    path.write_text(json.dumps(context | {"clusters": [{"name": "c", "cluster": {"server": "https://x"}}]}))
    with pytest.raises(ContextError, match="names the user 'gone'"):
        read_context([path], "one")
