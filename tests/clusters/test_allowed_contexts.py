"""A context is touched only when its user has allowed it: before that, not one request is sent."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.clusters import ClusterError, ClusterOptions, provide
from flametest.clusters.allowed import ALLOW_LIST, read_allowed
from tests.clusters.recording import Recording, answering, write_kubeconfig
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[Recording]:
    with answering() as recording:
        yield recording


@pytest.fixture
def options(tmp_path: Path, server: Recording) -> ClusterOptions:
    """Options with a kubeconfig whose context ``staging`` leads to the server, and whose current context does not."""
    kubeconfig = write_kubeconfig(tmp_path / "config", current="http://127.0.0.1:1", staging=server.url)
    return ClusterOptions(
        Path("images.toml"), kubeconfig=str(kubeconfig), allow_list=tmp_path / ALLOW_LIST, state=tmp_path / "state"
    )


def allow(options: ClusterOptions, text: str) -> None:
    assert options.allow_list is not None
    options.allow_list.write_text(text)


def test_a_context_that_is_not_listed_is_refused_before_anything_is_sent(
    options: ClusterOptions, server: Recording
) -> None:
    cluster = provide("context:staging", options)
    for use in (cluster.up, cluster.find, cluster.down):
        with pytest.raises(ClusterError, match=r"context 'staging' .* is not allowed; nothing was asked") as caught:
            use()
        assert "--i-know-this-cluster staging" in caught.value.remedy
        assert f'`contexts.staging.server = "{server.url}"`' in caught.value.remedy
    assert server.asked == []
    assert not (options.allow_list or Path()).exists()


def test_what_the_remedy_says_is_what_the_list_takes(options: ClusterOptions, server: Recording) -> None:
    with pytest.raises(ClusterError) as caught:
        provide("context:staging", options).up()
    allow(options, caught.value.remedy.split("`")[1])
    access = provide("context:staging", options).up()
    assert (access.context, server.asked) == ("staging", ["GET /version"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not allowed"),
        ("[contexts.current]", "is not allowed"),
        ("[contexts.Staging]", "is not allowed"),
        ('[contexts.staging]\nserver = "https://another:6443"', "but .* allows it for https://another:6443"),
        ("[contexts.staging", "cannot be read"),
        ("[contexts.staging]\nnamespace = 1", "more than a text called server"),
        ("contexts = 1", "expected tables"),
        ("staging = true", "expected tables"),
    ],
)
def test_no_list_but_one_that_names_it_allows_a_context(
    options: ClusterOptions, server: Recording, text: str, message: str
) -> None:
    allow(options, text)
    with pytest.raises(ClusterError, match=message):
        provide("context:staging", options).up()
    assert server.asked == []


def test_a_name_that_is_repeated_allows_that_context_and_no_other(
    options: ClusterOptions, server: Recording, tmp_path: Path
) -> None:
    known = ClusterOptions(
        options.images_file, kubeconfig=options.kubeconfig, known_context="staging", state=tmp_path / "state"
    )
    with pytest.raises(ClusterError, match="'staging' is not the context 'current'"):
        provide("context:current", known).up()
    assert provide("context:staging", known).up().context == "staging"
    assert server.asked == ["GET /version"]


def test_the_copy_is_for_its_owner_alone_and_holds_that_context_alone(options: ClusterOptions) -> None:
    allow(options, "[contexts.staging]")
    access = provide("context:staging", options).up()
    assert access.kubeconfig.is_relative_to(options.state or Path())
    assert access.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert access.kubeconfig.parent.stat().st_mode & 0o777 == 0o700
    text = access.kubeconfig.read_text()
    assert "token-of-staging" in text
    assert "token-of-current" not in text


def test_contexts_of_like_names_have_copies_of_their_own(options: ClusterOptions, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "config", **{"a/b": "http://127.0.0.1:1", "a:b": "http://127.0.0.1:1"})
    allow(options, '[contexts."a/b"]\n[contexts."a:b"]\n')
    assert len(read_allowed(options.allow_list or Path())) == 2
    from flametest.clusters.context import ContextCluster  # noqa: PLC0415

    copies = {ContextCluster(name, options).folder for name in ("a/b", "a:b")}
    assert len(copies) == 2
    assert kubeconfig.exists()


@pytest.mark.parametrize(
    "command", [["up"], ["down"], ["status"], ["env"], ["doctor"], ["run"], ["run", "--no-deploy"]]
)
def test_no_command_sends_a_request_to_a_context_that_is_not_allowed(
    server: Recording, tmp_path: Path, command: list[str]
) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "config", staging=server.url)
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "FLAMETEST_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "flametest.cli", *command, "--cluster", "context:staging"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    error, remedy = done.stderr.strip().splitlines()
    assert error.startswith("error: context 'staging'")
    assert remedy.startswith("remedy: ")
    assert server.asked == []
