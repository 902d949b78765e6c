"""The Job as it is printed: what it may do, how it is bounded, and that everything it names is in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click import UsageError
from click.testing import CliRunner

from flametest.cli.main import main
from flametest.incluster.planning import JobWish, plan_job
from flametest.manifests import parse_manifests
from flametest.run.project import Project, ProjectError

ROOT = Path(__file__).parents[2]
PROJECT = Project(ROOT)


def objects_of(*experiments: str, **options: Any) -> dict[str, Any]:
    """Return the objects of a Job for experiments, by their kind; ConfigMaps by their name as well."""
    files = tuple(ROOT / "experiments" / f"{name}.json" for name in experiments)
    wish = JobWish(**({"suite": "core", "experiments": files, "namespace": "flametest"} | options))
    plan = plan_job(wish, PROJECT)
    named = {one.name: one.object for one in plan.manifests if one.kind == "ConfigMap"}
    return {one.kind: one.object for one in plan.manifests} | named


def verbs(role: dict[str, Any], resource: str) -> set[str]:
    """Return what a role allows to do to a resource."""
    return {verb for rule in role["rules"] if resource in rule["resources"] for verb in rule["verbs"]}


def test_a_control_may_only_look() -> None:
    objects = objects_of("control")
    assert {verb for rule in objects["Role"]["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert "ClusterRole" not in objects


def test_the_deletion_of_pods_is_granted_in_the_systems_namespace_only() -> None:
    objects = objects_of("pod-delete-api")
    assert "delete" in verbs(objects["Role"], "pods")
    assert objects["Role"]["metadata"]["namespace"] == "flametest"
    assert "ClusterRole" not in objects


def test_only_an_experiment_with_nodes_gets_rights_in_the_whole_cluster() -> None:
    objects = objects_of("node-loss")
    assert verbs(objects["ClusterRole"], "nodes") == {"get", "list", "patch"}
    assert objects["ClusterRole"]["metadata"]["name"] == "flametest-runner-flametest"
    assert objects["ClusterRoleBinding"]["roleRef"]["name"] == "flametest-runner-flametest"


def test_further_namespaces_of_an_experiment_get_a_role_of_their_own(tmp_path: Path) -> None:
    document = json.loads((ROOT / "experiments" / "node-drain.json").read_text())
    document["controls"][0]["provider"]["arguments"]["namespaces"] = ["kube-system"]
    file = tmp_path / "node-drain.json"
    file.write_text(json.dumps(document))
    wish = JobWish(suite="core", experiments=(file,), namespace="flametest")
    there = [
        one.object
        for one in plan_job(wish, PROJECT).manifests
        if one.object["metadata"].get("namespace") == "kube-system"
    ]
    assert [(one["kind"], one["metadata"]["name"]) for one in there] == [
        ("Role", "flametest-runner-flametest"),
        ("RoleBinding", "flametest-runner-flametest"),
    ]
    assert verbs(there[0], "pods/eviction") == {"create"}
    assert there[1]["roleRef"]["name"] == "flametest-runner-flametest"


def test_no_rule_has_a_wildcard() -> None:
    objects = objects_of(suite="full")
    for kind in ("Role", "ClusterRole"):
        assert "*" not in str(objects[kind]["rules"])


def test_the_bindings_are_for_the_account_of_the_pod() -> None:
    objects = objects_of("control")
    account = objects["ServiceAccount"]["metadata"]
    (subject,) = objects["RoleBinding"]["subjects"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert objects["Job"]["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]


def test_the_pod_meets_the_restricted_standard_and_is_run_once() -> None:
    spec = objects_of("control")["Job"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert (spec["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert spec["activeDeadlineSeconds"]
    assert spec["ttlSecondsAfterFinished"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert set(container["resources"]) == {"requests", "limits"}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_it_brings_its_own_experiments_limits_and_load_test() -> None:
    objects = objects_of("control", "pod-delete-api")
    data = objects["experiments"]["data"]
    assert set(data) == {"control.json", "pod-delete-api.json", "ledger.toml", "limits.toml", "suites.toml"}
    assert data["control.json"] == (ROOT / "experiments" / "control.json").read_text()
    assert objects["loadtests"]["data"]["locustfile.py"] == PROJECT.locustfile.read_text()


def test_it_runs_what_was_asked_for_on_the_system_that_is_there() -> None:
    arguments = objects_of("control", run_arguments=("--users", "7"))["Job"]["spec"]["template"]["spec"]["containers"][
        0
    ]["args"]
    assert arguments == [
        *("--cluster", "in-cluster", "--no-deploy", "--namespace", "flametest"),
        *("--url", "http://nginx.flametest.svc", "--experiment", "experiments/control.json", "--users", "7"),
    ]


def test_a_suite_is_run_by_its_name_with_all_of_its_files() -> None:
    objects = objects_of(suite="core")
    container = objects["Job"]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][-2:] == ["--suite", "core"]
    assert "redis-outage.json" in objects["experiments"]["data"]


def test_an_entry_that_the_manifests_do_not_have_is_asked_for() -> None:
    with pytest.raises(ProjectError, match="no Service of namespace 'other'") as caught:
        objects_of("control", namespace="other")
    assert "--url http://NAME.other.svc" in caught.value.remedy


def test_what_is_printed_is_what_would_be_applied_with_a_reason_for_every_right() -> None:
    experiment = str(ROOT / "experiments" / "pod-delete-api.json")
    printed = CliRunner().invoke(main, ["job", "print", "--experiment", experiment, "--", "--users", "7"])
    assert printed.exit_code == 0, printed.output
    assert "# delete pods: pod-delete-api\n" in printed.output
    found = {one.kind: one.object for one in parse_manifests(printed.output, "printed")}
    assert found["Role"] == objects_of("pod-delete-api")["Role"]
    assert found["Job"]["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == ["--users", "7"]
    assert "  control.json: |" not in printed.output
    assert "  pod-delete-api.json: |" in printed.output


def test_the_image_of_helper_pods_is_passed_on_and_what_the_user_says_comes_last() -> None:
    def arguments(**options: Any) -> list[str]:
        container = objects_of("slow-redis", **options)["Job"]["spec"]["template"]["spec"]["containers"][0]
        return [str(word) for word in container["args"]]

    assert "--helper-image" not in arguments()
    told = arguments(helper_image="mirror/python:3.13", run_arguments=("--helper-image", "other"))
    assert told[-4:] == ["--helper-image", "mirror/python:3.13", "--helper-image", "other"]


def test_harm_limits_are_passed_on_and_one_that_is_none_is_refused_before_anything_is_applied() -> None:
    experiment = str(ROOT / "experiments" / "remove-service-nginx.json")
    command = ["job", "print", "--experiment", experiment, "--abort-when"]
    printed = CliRunner().invoke(main, [*command, "availability=0.5", "--abort-when", "outage_seconds=3"])
    assert printed.exit_code == 0, printed.output
    found = {one.kind: one.object for one in parse_manifests(printed.output, "printed")}
    told = found["Job"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert told[-4:] == ["--abort-when", "availability=0.5", "--abort-when", "outage_seconds=3"]
    refused = CliRunner().invoke(main, [*command, "availability=50"], standalone_mode=False)
    assert isinstance(refused.exception, UsageError)
    assert "expected a number between 0 and 1" in refused.exception.format_message()
