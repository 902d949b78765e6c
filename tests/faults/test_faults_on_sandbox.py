"""Every fault on a real system: proved, and healed whatever ends the process that injected it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.faults.healing import heal_all
from flametest.faults.undo import UndoJournal
from flametest.kube.api import MERGE
from flametest.kube.resources import PODS, SERVICES
from tests.faults.system import DRIVER, ROOT, System, wait_until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

LASTING = [
    "service-removal",
    "entry-removal",
    "scaling",
    "dependency-outage",
    "network-partition",
    "dns-outage",
    "intrusion",
    "bad-rollout",
    "node-drain",
    "node-loss",
]
PROVED_SOON = [name for name in LASTING if name != "node-loss"] + ["container-crash"]
# One fault goes through every way of ending each time; the others do so in the exhaustive session.
EVERY_ENDING = [LASTING[0], *(pytest.param(name, marks=pytest.mark.exhaustive) for name in LASTING[1:])]


@pytest.mark.parametrize("fault", PROVED_SOON)
def test_a_fault_is_shown_proved_and_taken_back(system: System, fault: str) -> None:
    before = system.whole()
    done = system.driven(fault, "proved", "end")
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.split(" ")[0].rstrip(":") for line in done.stdout.splitlines()]
    assert told == ["shown", "proved", "the", *([] if fault == "container-crash" else ["healed"])], done.stdout
    assert system.specifications() == before
    assert (system.left(), system.guardians()) == (0, [])


def test_a_rolling_restart_replaces_every_pod_by_a_ready_one_and_changes_nothing_but_its_annotation(
    system: System,
) -> None:
    before, former = json.loads(system.whole()), uids(system, "api")
    done = system.driven("rolling-restart", "proved", "end")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "proved: all 3 pods of Deployment api were replaced" in done.stdout
    assert len(uids(system, "api")) == 3
    assert not uids(system, "api") & former
    after = json.loads(system.specifications())
    template = after["Deployment api"]["spec"]["template"]["metadata"]
    assert template["annotations"].pop("kubectl.kubernetes.io/restartedAt")
    assert after == before


def uids(system: System, app: str) -> set[str]:
    """Return the uids of the pods of an app that are not on their way out."""
    pods = system.client.api.get(PODS.path("flametest"), {"labelSelector": f"app={app}"})["items"]
    return {one["metadata"]["uid"] for one in pods if not one["metadata"].get("deletionTimestamp")}


@pytest.mark.parametrize("way", ["exception", "SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("fault", EVERY_ENDING)
def test_a_fault_is_taken_back_before_the_process_ends(system: System, fault: str, way: str) -> None:
    before = system.whole()
    done = system.driven(fault, "injected", way)
    assert done.returncode not in (0, -signal.SIGKILL), done.stdout
    assert "ending at injected" in done.stdout
    assert system.specifications() == before, done.stdout + done.stderr
    assert (system.left(), system.guardians()) == (0, [])


@pytest.mark.parametrize("step", ["armed", "half", "injected"])
@pytest.mark.parametrize("fault", EVERY_ENDING)
def test_the_guardian_takes_a_fault_back_when_its_process_is_killed(system: System, fault: str, step: str) -> None:
    before = system.whole()
    done = system.driven(fault, step, "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    wait_until(lambda: not system.left() and not system.guardians(), PATIENCE_SECONDS)
    assert system.specifications() == before


@pytest.mark.parametrize("fault", EVERY_ENDING)
def test_undo_takes_a_fault_back_when_the_guardian_was_killed_too(system: System, fault: str) -> None:
    before = system.whole()
    system.abandoned(fault)
    assert system.left() == 1
    assert system.specifications() != before
    done = system.flametest("undo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("healed: ")
    assert system.specifications() == before
    assert system.flametest("undo").stdout == "nothing was left to heal\n"


def test_what_a_living_experiment_has_injected_is_left_alone(system: System) -> None:
    before = system.whole()
    with system.stopped("scaling") as driver:
        undo = system.flametest("undo")
        assert undo.returncode == 0
        assert f"left alone: scale Deployment api to 4: process {driver.pid} still runs" in undo.stdout
        assert system.left() == 1
    wait_until(lambda: not system.left(), PATIENCE_SECONDS)
    assert system.specifications() == before


def test_another_experiment_is_refused_what_a_living_one_holds(system: System) -> None:
    before = system.whole()
    with system.stopped("scaling") as driver:
        lasting = system.specifications()
        refused = system.driven("scaling", "proved", "end")
        assert refused.returncode == 1
        assert f"Deployment api is held by process {driver.pid} since " in refused.stderr
        run = system.flametest("run", "--no-deploy", "--experiment", "experiments/pod-delete-api.json")
        assert run.returncode == 2, run.stdout + run.stderr
        assert f"faults of another run last in namespace 'flametest': process {driver.pid}" in run.stderr
        assert system.specifications() == lasting
        assert system.left() == 1
    wait_until(lambda: not system.left(), PATIENCE_SECONDS)
    assert system.specifications() == before


def test_every_command_heals_first(system: System) -> None:
    before = system.whole()
    system.abandoned("scaling")
    status = system.flametest("status")
    assert "healed: scale Deployment api to 4: Deployment api was set back from 4 to 3" in status.stdout
    assert system.specifications() == before
    system.abandoned("service-removal")
    dry = system.flametest("run", "--dry-run", "--experiment", "experiments/pod-delete-api.json")
    assert "healed: remove Service logic: Service logic was created again as it was" in dry.stdout
    assert system.specifications() == before


def test_a_dry_run_shows_the_targets_of_every_experiment_and_touches_nothing(system: System) -> None:
    before = system.whole()
    dry = system.flametest("run", "--dry-run", "--suite", "full")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert "remove-the-entry-service: remove Service nginx: Service flametest/nginx" in dry.stdout
    assert "let nobody connect to the pods of logic: Deployment flametest/logic, NetworkPolicy" in dry.stdout
    assert "Node sandbox-" in dry.stdout
    assert dry.stdout.splitlines()[-1].startswith("nothing was injected")
    assert system.specifications() == before
    assert system.left() == 0


@pytest.mark.parametrize(
    ("argument", "value", "told"),
    [
        ("label_selector", " ", "selects every pod of the namespace"),
        ("label_selector", "app=apii", "no pod of namespace 'flametest' has 'app=apii'"),
        ("ns", "default", "no pod of namespace 'default' has 'app=api'"),
        ("qty", 2, "2 of 3 pods of one controller, more than the share of 50%"),
        ("qty", 9, "9 of 3 pods with 'app=api'"),
    ],
)
def test_a_run_that_would_hit_what_it_may_not_ends_with_2_and_a_line(
    system: System, tmp_path: Path, argument: str, value: object, told: str
) -> None:
    before = system.whole()
    document = json.loads((ROOT / "experiments" / "pod-delete-api.json").read_text())
    document["method"][1]["provider"]["arguments"][argument] = value
    file = tmp_path / "pod-delete-api.json"
    file.write_text(json.dumps(document))
    done = system.flametest("run", "--experiment", str(file), "--out", str(tmp_path / "out"))
    assert done.returncode == 2, done.stdout + done.stderr
    (line, *_) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert told in line
    assert system.specifications() == before


@pytest.fixture
def odd_services(system: System) -> Iterator[None]:
    """Have a Service without a selector, and one to which a load balancer's address was given."""
    port = {"port": 80, "protocol": "TCP"}
    specs = {
        "by-hand": {"ports": [port]},
        "balanced": {"type": "LoadBalancer", "selector": {"app": "nginx"}, "ports": [port]},
    }
    api = system.client.api
    for name, spec in specs.items():
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        api.send("POST", SERVICES.path("flametest"), body)
    given = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    api.send("PATCH", f"{SERVICES.path('flametest', 'balanced')}/status", given, content_type=MERGE)
    yield
    for name in specs:
        api.send("DELETE", SERVICES.path("flametest", name))


@pytest.mark.usefixtures("odd_services")
@pytest.mark.parametrize(
    ("service", "told", "remedy"),
    [
        ("by-hand", "Service by-hand has no selector", "remove a Service with a selector"),
        ("balanced", "Service balanced has the load balancer address 192.0.2.1", "with inject_dependency_outage"),
    ],
)
def test_a_dry_run_shows_that_a_service_would_not_come_back_as_it_was(
    system: System, tmp_path: Path, service: str, told: str, remedy: str
) -> None:
    before = system.specifications()
    document = json.loads((ROOT / "experiments" / "remove-service-logic.json").read_text())
    for activity in document["method"]:
        if activity["provider"]["func"] == "inject_service_removal":
            activity["provider"]["arguments"]["service"] = service
    file = tmp_path / "remove-service.json"
    file.write_text(json.dumps(document))
    dry = system.flametest("run", "--dry-run", "--experiment", str(file))
    assert dry.returncode == 2, dry.stdout + dry.stderr
    error, advice = dry.stderr.splitlines()
    assert error.startswith(f"error: remove-service.json: {told}")
    assert "healing could not restore" in error
    assert advice.startswith("remedy: ")
    assert remedy in advice
    assert system.specifications() == before


def test_nothing_is_injected_when_the_undo_record_cannot_be_written(system: System, tmp_path: Path) -> None:
    before = system.whole()
    # A file in the folder's place fails for root as well, whom no permission keeps out.
    (tmp_path / "undo").write_text("")
    own = {**system.environment, "FLAMETEST_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(DRIVER), "scaling", "proved", "end"],
        env=own,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "nothing was injected" in done.stderr
    assert "proved" not in done.stdout
    assert system.specifications() == before


def test_a_fault_whose_namespace_is_gone_leaves_nothing_to_heal(system: System) -> None:
    before = system.whole()
    system.abandoned("scaling")
    (file,) = (system.home / "undo").glob("*.json")
    text = file.read_text()
    file.write_text(text.replace('"namespace": "flametest"', '"namespace": "was-deleted"'))
    done = system.flametest("undo")
    assert "nothing is left to heal: namespace was-deleted is gone, and everything in it" in done.stdout
    assert done.returncode == 0
    file.write_text(text)
    assert system.flametest("undo").returncode == 0
    assert system.specifications() == before


def test_a_cluster_that_is_another_one_is_left_alone(system: System) -> None:
    before = system.whole()
    system.abandoned("scaling")
    (file,) = (system.home / "undo").glob("*.json")
    text = file.read_text()
    file.write_text(text.replace(json.loads(text)["place"]["cluster_uid"], "uid-of-another-cluster"))
    assert "another cluster answers in the place" in system.flametest("undo").stdout
    file.write_text(text)
    assert system.flametest("undo").returncode == 0
    assert system.specifications() == before


def test_a_service_that_stays_in_deletion_is_not_healed_until_it_is_gone(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, path = system.whole(), SERVICES.path("flametest", "logic")

    def held_by(finalizers: list[str]) -> None:
        system.client.api.send("PATCH", path, {"metadata": {"finalizers": finalizers}}, content_type=MERGE)

    held_by(["service.kubernetes.io/load-balancer-cleanup"])
    system.abandoned("service-removal")
    monkeypatch.setattr("flametest.faults.readback.ENDING_SECONDS_MAX", 1.0)
    journal = UndoJournal(system.home)
    (healing,) = heal_all(journal, journal.records()[0])
    assert not healing.healed
    assert "is being deleted, and is still there" in healing.evidence
    assert system.left() == 1
    held_by([])
    done = system.flametest("undo")
    assert done.returncode == 0, done.stdout
    assert "Service logic was created again as it was" in done.stdout
    held_by([])
    assert system.specifications() == before


def test_a_credential_program_that_hangs_keeps_no_other_cluster_from_being_healed(system: System) -> None:
    before = system.whole()
    system.abandoned("scaling")
    (file,) = (system.home / "undo").glob("*.json")
    hanging = system.home / "hanging.kubeconfig"
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["3600"]}
    document = json.loads(Path(system.environment["KUBECONFIG"]).read_text())
    document["users"][0]["user"] = {"exec": program | {"interactiveMode": "Never"}}
    hanging.write_text(json.dumps(document))
    stuck = file.with_name("9" + file.name[1:])  # the newest, so that it comes first
    record = json.loads(file.read_text()) | {"identifier": stuck.stem, "title": "scale another"}
    record["targets"] = [record["targets"][0] | {"name": "another", "uid": "of-another"}]
    stuck.write_text(json.dumps(record | {"place": record["place"] | {"kubeconfig": str(hanging)}}))
    system.environment["FLAMETEST_CREDENTIALS_SECONDS"] = "2"
    try:
        for command in ("undo", "status"):
            done = system.flametest(command)
            assert done.returncode == 4, done.stdout + done.stderr
            assert "NOT HEALED: scale another: " in done.stdout
            assert stuck.exists()
            assert not file.exists()
            assert system.specifications() == before
    finally:
        del system.environment["FLAMETEST_CREDENTIALS_SECONDS"]
        stuck.unlink(missing_ok=True)


def test_what_cannot_be_reached_is_exit_code_4_and_stays_until_it_can_be(system: System) -> None:
    before = system.whole()
    system.abandoned("scaling")
    (file,) = (system.home / "undo").glob("*.json")
    text = file.read_text()
    file.write_text(text.replace(system.environment["KUBECONFIG"], str(system.home / "missing")))
    for command in ("undo", "up"):
        done = system.flametest(command)
        assert done.returncode == 4, done.stdout + done.stderr
        assert "NOT HEALED: scale Deployment api to 4: kubeconfig" in done.stdout
        assert file.exists()
    file.write_text(text)
    assert system.flametest("undo").returncode == 0
    assert system.specifications() == before
