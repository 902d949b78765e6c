"""The options of Minikube on the command line: passed on to the provider, and refused for another cluster."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from flametest.cli import commands, deploying
from flametest.cli.main import main
from flametest.cli.where import Where
from flametest.clusters import Access, ClusterError, ClusterOptions
from flametest.run.exitcodes import ExitCode


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["up", "--nodes", "3"], "--nodes"),
        (["up", "--images", "a.tar"], "--images"),
        (["down", "--delete"], "--delete"),
    ],
)
def test_an_option_of_minikube_is_refused_for_another_cluster(arguments: list[str], option: str) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == ExitCode.USAGE
    assert f"error: {option} belongs to Minikube, and the cluster is sandbox" in done.stderr
    assert "remedy: leave it out, or add --cluster minikube" in done.stderr


@dataclass
class StoppedCluster:
    """A cluster of Flametest's own that keeps what it holds while it is stopped; it notes what is done with it."""

    forgets: bool = False
    done: list[str] = field(default_factory=list)
    is_own: bool = True
    pulls_images: bool = True
    name: str = "minikube"
    note: str = ""

    def find(self) -> Access | None:
        return Access(Path("/kubeconfig"), "flametest", "http://192.168.49.2:30080") if "up" in self.done else None

    def up(self) -> Access:
        self.done.append("up")
        found = self.find()
        assert found is not None
        return found

    def down(self) -> bool:
        self.done.append("down")
        return True

    def has_ended(self, kubeconfig: str) -> bool:
        return False

    def memory_bytes(self) -> int | None:
        return None


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StoppedCluster:
    """A stopped cluster with a fault in it, which can be healed once the cluster runs."""
    cluster = StoppedCluster()

    def heal(*_: object) -> bool:
        cluster.done.append("heal")
        return "up" not in cluster.done

    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path))
    monkeypatch.setattr(deploying, "find_cluster", lambda *_: cluster)
    monkeypatch.setattr(deploying, "heal_first", heal)
    monkeypatch.setattr("flametest.run.deploy.deploy", lambda *_: cluster.up())
    return cluster


def test_what_was_left_in_a_stopped_cluster_is_healed_once_it_runs(stopped: StoppedCluster) -> None:
    assert deploying.bring_up(Where("minikube", "flametest", "", ""), (), None, strict=False) == ExitCode.PASSED
    assert stopped.done == ["heal", "up", "heal"]


def test_a_cluster_that_keeps_what_it_holds_is_healed_before_it_is_stopped(stopped: StoppedCluster) -> None:
    stopped.done.append("up")
    assert deploying.bring_down(Where("minikube", "flametest", "", "")) == ExitCode.PASSED
    assert stopped.done == ["up", "heal", "down", "heal"]


def test_a_cluster_that_goes_with_all_it_holds_needs_no_healing_before(stopped: StoppedCluster) -> None:
    stopped.done.append("up")
    stopped.forgets = True
    assert deploying.bring_down(Where("minikube", "flametest", "", "", delete=True)) == ExitCode.PASSED
    assert stopped.done == ["up", "down", "heal"]


def test_the_options_reach_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, ClusterOptions]] = []

    def note(name: str, options: ClusterOptions) -> None:
        given.append((name, options))
        raise ClusterError("noted")

    monkeypatch.setattr(commands, "provide", note)
    arguments = ["--cluster", "minikube", "--nodes", "3", "--images", "a.tar", "--images", "b", "--driver", "kvm2"]
    assert CliRunner().invoke(main, ["up", *arguments]).exit_code == ExitCode.USAGE
    assert CliRunner().invoke(main, ["down", "--cluster", "minikube", "--delete"]).exit_code == ExitCode.USAGE
    (_, up), (_, down) = given
    assert (up.nodes, up.images, up.driver, up.delete) == (3, ("a.tar", "b"), "kvm2", False)
    assert (down.nodes, down.images, down.driver, down.delete) == (None, (), "", True)
