"""Whole experiments that end before their time: by a probe, a signal, or the death of the run that waits for them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flametest.model.events import FaultHealed, FaultInjected, FaultProved
from flametest.model.history import History
from tests.faults.system import ROOT, System, wait_until
from tests.patience import OUTLASTING_SECONDS, PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox


def short(name: str, **changes: Any) -> dict[str, Any]:
    """Return an experiment with a short baseline, whose fault lasts for as long as nobody ends it."""
    document: dict[str, Any] = json.loads((ROOT / "experiments" / f"{name}.json").read_text())
    # How well users are served on a busy machine is not what is tested here.
    probes = document["steady-state-hypothesis"]["probes"]
    probes[:] = [probe for probe in probes if probe["provider"].get("func") == "workload_ready"]
    document["method"][0]["provider"]["arguments"] = {"seconds": 0.5}
    document["method"][2]["provider"]["arguments"] = {"seconds": OUTLASTING_SECONDS}
    return document | changes


@contextmanager
def running(command: list[str], system: System, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (
        (folder / "output.log").open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", *command],
            env=system.environment | {"FLAMETEST_RECORD_DIR": str(folder / "record")},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def chaos(system: System, folder: Path, document: dict[str, Any]) -> Any:
    file = folder / "experiment.json"
    file.write_text(json.dumps(document))
    return running(["chaostoolkit", "--no-version-check", "run", str(file)], system, folder)


def history(folder: Path) -> History:
    file = folder / "record" / "history.jsonl"
    return History.from_lines(file.read_text().splitlines(keepends=True)) if file.exists() else History()


def proved(folder: Path) -> bool:
    return bool(history(folder).of(FaultProved))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_experiment_that_has_healed_first(system: System, tmp_path: Path, number: int) -> None:
    before = system.whole()
    with chaos(system, tmp_path, short("remove-service-logic")) as process:
        wait_until(lambda: proved(tmp_path), PATIENCE_SECONDS)
        assert system.specifications() != before
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) != 0
    assert system.specifications() == before
    assert (system.left(), system.guardians()) == (0, [])
    assert len(history(tmp_path).of(FaultHealed)) == 1


def test_an_experiment_whose_probe_fails_is_healed_by_the_control(system: System, tmp_path: Path) -> None:
    before = system.whole()
    document = short("partition-logic")
    provider = {"type": "http", "url": "http://127.0.0.1:1/", "timeout": 1}
    # Nothing in the method heals: what is left to do so is the control.
    document["method"][2:] = [{"type": "probe", "name": "nobody-listens", "provider": provider}]
    with chaos(system, tmp_path, document) as process:
        process.wait(PATIENCE_SECONDS)
    assert system.specifications() == before
    (fault,) = history(tmp_path).of(FaultInjected)
    assert fault.fault == "network_partition"
    assert (system.left(), system.guardians()) == (0, [])


def test_an_extensions_own_action_is_journalled_proved_and_healed(system: System, tmp_path: Path) -> None:
    before = system.whole()
    document = short("scale-api")
    document["method"][1]["provider"] = {
        "type": "python",
        "module": "chaosk8s.deployment.actions",
        "func": "scale_deployment",
        "arguments": {"name": "api", "replicas": 4, "ns": "flametest"},
    }
    with chaos(system, tmp_path, document) as process:
        wait_until(lambda: proved(tmp_path), PATIENCE_SECONDS)
        assert system.left() == 1
        process.kill()
    wait_until(lambda: not system.left(), 30)
    assert system.specifications() == before
    (proof,) = history(tmp_path).of(FaultProved)
    assert (proof.fault, proof.proved) == ("scale_deployment", True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label_selector": ""}, "selects every pod"),
        ({"label_selector": "app=apii"}, "no pod of namespace 'flametest' has 'app=apii'"),
        ({"ns": "kube-system"}, "no pod of namespace 'kube-system'"),
        ({"all": True}, "more than the share of 50% that is allowed"),
    ],
)
def test_a_run_that_would_hit_what_it_may_not_is_exit_code_2_and_touches_nothing(
    system: System, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    before = system.whole()
    document = json.loads((ROOT / "experiments" / "pod-delete-api.json").read_text())
    document["method"][1]["provider"]["arguments"] |= change
    with chaos(system, tmp_path, document) as process:
        assert process.wait(PATIENCE_SECONDS) != 0
    assert told in (tmp_path / "output.log").read_text()
    assert history(tmp_path).of(FaultInjected) == []
    assert system.specifications() == before


def test_an_experiment_whose_run_is_killed_heals_and_ends(system: System, tmp_path: Path) -> None:
    before = system.whole()
    file = tmp_path / "remove-service-nginx.json"
    file.write_text(json.dumps(short("remove-service-nginx")))
    program = (
        "import os, sys; from pathlib import Path; "
        "from flametest.faults.owner import RUNNER_VARIABLE, own_name; "
        "from flametest.run.chaostoolkit import run_chaos; from flametest.run.halting import Halt; "
        "run_chaos(Path(sys.argv[1]), Path(sys.argv[2]), {RUNNER_VARIABLE: str(own_name())}, print, Halt())"
    )
    with (
        subprocess.Popen(
            [sys.executable, "-c", program, str(file), str(tmp_path / "journal.json")],
            env=system.environment | {"FLAMETEST_RECORD_DIR": str(tmp_path / "record")},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as runner,
    ):
        wait_until(lambda: proved(tmp_path), PATIENCE_SECONDS)
        os.kill(runner.pid, signal.SIGKILL)
    undo = system.flametest("undo")
    assert undo.returncode == 0, undo.stdout
    assert system.specifications() == before
    wait_until(lambda: not system.guardians(), 30)
    assert len(history(tmp_path).of(FaultHealed)) == 1
