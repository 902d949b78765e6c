"""What the gate lets through, what it refuses, and that it looks at everything."""

import ast
import importlib
import pkgutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import chaosk8s
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flametest.chaos import actions, probes
from flametest.chaos.errors import MalformedExperimentError, UnsafeExperimentError
from flametest.chaos.gate import check_experiment, is_measured, unguarded_of
from flametest.chaos.places import Place, activities_of
from flametest.chaos.reading import EXTENSION_PROBES, OWN_ACTIONS, OWN_PROBES, only_reads
from flametest.chaos.values import Values
from flametest.model.errors import FlametestError
from tests.chaos.cells import CONTROL, base, recorder

Object = dict[str, Any]
TOUCH: Object = {"type": "process", "path": "touch", "arguments": ["x"]}
DELETE: Object = {
    "type": "python",
    "module": "chaosk8s.pod.actions",
    "func": "terminate_pods",
    "arguments": {"ns": "flametest", "label_selector": "app=api"},
}


def measured(**limits: Any) -> Object:
    document = base("http://127.0.0.1")
    document["controls"] = [recorder(**limits)]
    return document


def activity(provider: Object, kind: str = "action", name: str = "act") -> Object:
    return {"type": kind, "name": name, "provider": deepcopy(provider)}


def refusal(document: Object, values: Values | None = None) -> FlametestError:
    with pytest.raises((UnsafeExperimentError, MalformedExperimentError)) as raised:
        check_experiment(document, values or Values())
    assert raised.value.remedy or isinstance(raised.value, MalformedExperimentError)
    return raised.value


# The list of what only reads.


@pytest.mark.parametrize("module", sorted(EXTENSION_PROBES))
def test_the_probes_of_the_extension_that_are_listed_only_read(module: str) -> None:
    """They exist, and nothing in their modules asks the API for more than to list and read."""
    loaded = importlib.import_module(module)
    assert all(callable(getattr(loaded, name)) for name in EXTENSION_PROBES[module])
    called = {
        node.attr
        for node in ast.walk(ast.parse(Path(str(loaded.__file__)).read_text()))
        if isinstance(node, ast.Attribute)
    }
    verbs = ("create_namespaced", "create_cluster", "delete_", "patch_", "replace_", "connect_")
    assert {name for name in called if name.startswith(verbs)} == set()


def test_every_probe_of_the_extension_is_listed() -> None:
    modules = [
        one.name for one in pkgutil.walk_packages(chaosk8s.__path__, "chaosk8s.") if one.name.endswith(".probes")
    ]
    offered = {(name, probe) for name in modules for probe in importlib.import_module(name).__all__}
    assert offered <= {(module, probe) for module, names in EXTENSION_PROBES.items() for probe in names}


def test_every_action_of_ours_either_injects_or_is_listed() -> None:
    for module, functions in ((OWN_ACTIONS, actions.__all__), (OWN_PROBES, probes.__all__)):
        for name in functions:
            provider = {"type": "python", "module": module, "func": name}
            assert only_reads(provider) != name.startswith("inject_"), name


@pytest.mark.parametrize("method", ["GET", "get", "HEAD", "Options"])
def test_requests_that_only_read_may_stand_anywhere(method: str) -> None:
    assert only_reads({"type": "http", "url": "http://x", "method": method, "headers": {"Accept": "text/plain"}})
    assert only_reads({"type": "http", "url": "http://x"})


@given(
    method=st.one_of(st.text(), st.integers(), st.none(), st.sampled_from(["POST", "PUT", "DELETE", "PATCH", " GET"]))
)
def test_any_other_method_does_more_than_read(method: Any) -> None:
    read = isinstance(method, str) and method.upper() in ("GET", "HEAD", "OPTIONS")
    assert only_reads({"type": "http", "url": "http://x", "method": method}) == read


@pytest.mark.parametrize(
    "header", ["Upgrade", "upgrade", "X-HTTP-Method-Override", "x-http-method", " X-Method-Override "]
)
def test_a_get_that_asks_for_something_else_does_more_than_read(header: str) -> None:
    assert not only_reads({"type": "http", "url": "http://x", "headers": {header: "DELETE"}})


@pytest.mark.parametrize(
    "provider",
    [
        {"type": "python", "module": "chaosk8s.pod.probes", "func": "create_k8s_api_client"},
        {"type": "python", "module": "chaosk8s.pod.actions", "func": "exec_in_pods"},
        {"type": "python", "module": "chaosk8s.actions", "func": "kill_microservice"},
        {"type": "python", "module": OWN_ACTIONS, "func": "_inject"},
        {"type": "python", "module": "flametest.faults.undo", "func": "state_home"},
        {"type": "python", "module": "os", "func": "system"},
        {"type": "something", "module": "chaosk8s.pod.probes", "func": "count_pods"},
        {},
    ],
)
def test_what_is_not_listed_does_more_than_read(provider: Object) -> None:
    assert not only_reads(provider)


# Where faults may stand.


def test_a_known_fault_stands_in_the_method_and_the_rollbacks_as_an_action() -> None:
    for place in ("method", "rollbacks"):
        document = measured()
        document[place].append(activity(DELETE))
        check_experiment(document, Values())
        document[place][-1]["type"] = "probe"
        assert "is of type 'probe'" in refusal(document).message


@pytest.mark.parametrize(
    "fault", [DELETE, {"type": "python", "module": OWN_ACTIONS, "func": "inject_service_removal", "arguments": {}}]
)
def test_no_fault_stands_where_nothing_guards_it(fault: Object) -> None:
    document = measured()
    document["steady-state-hypothesis"]["probes"].append(activity(fault, "probe") | {"tolerance": True})
    assert "injects a fault in the hypothesis" in refusal(document).message
    document = measured()
    document["steady-state-hypothesis"]["probes"][0]["tolerance"] = activity(fault, "probe")
    assert "injects a fault in a tolerance" in refusal(document).message
    document = measured()
    document["configuration"]["x"] = activity(fault, "probe")
    assert "injects a fault in the configuration" in refusal(document).message


def test_a_reference_is_looked_at_as_what_it_refers_to() -> None:
    document = measured()
    probe = activity({"type": "http", "url": "http://x"}, "probe", "twice") | {"tolerance": 200}
    document["steady-state-hypothesis"]["probes"].append(probe)
    document["method"] = [{"ref": "twice"}, activity(TOUCH, name="twice")]
    # Of two of one name Chaos Toolkit takes the hypothesis' own.
    assert [step.place for step in activities_of(document) if step.provider["type"] == "process"] == [Place.METHOD]
    document["method"] = [{"ref": "nowhere"}]
    assert "refers to the activity 'nowhere', which does not exist" in refusal(document).message


def test_what_is_unguarded_runs_and_is_told() -> None:
    document = measured(unguarded=["act", "mine", "dynamic", "bound"])
    document["method"].append(activity(TOUCH))
    document["controls"].append(CONTROL)
    document["configuration"]["dynamic"] = activity(TOUCH, "probe", "dynamic")
    document["steady-state-hypothesis"]["probes"][0]["tolerance"] = activity(TOUCH, "probe", "bound")
    limits = check_experiment(document, Values())
    assert set(unguarded_of(document, limits)) == {"act", "mine", "dynamic", "bound"}


@pytest.mark.parametrize("key", ["KUBERNETES_CONTEXT", "KUBERNETES_HOST", "KUBERNETES_API_KEY"])
@pytest.mark.parametrize("way", ["secrets", "arguments", "configuration"])
def test_secrets_choose_no_other_cluster(key: str, way: str) -> None:
    document = measured()
    count = {"type": "python", "module": "chaosk8s.pod.probes", "func": "count_pods"}
    count["arguments"] = {"label_selector": "app=api"}  # type: ignore[assignment]
    secrets = {"k8s": {key: "prod"}}
    if way == "arguments":
        count["arguments"]["secrets"] = secrets["k8s"]  # type: ignore[index]
        secrets = {}
    else:
        count["secrets"] = ["k8s"]  # type: ignore[assignment]
    if way == "configuration":
        document["configuration"]["pods"] = activity(count, "probe")
    else:
        document["method"].append(activity(count, "probe"))
    assert f"chooses a cluster by the secret {key}" in refusal(document, Values(secrets=secrets, context="c")).message
    if key == "KUBERNETES_CONTEXT" and way != "arguments":
        check_experiment(document, Values(secrets={"k8s": {key: "c"}}, context="c"))


def test_what_a_probe_of_the_configuration_answers_is_no_tolerance() -> None:
    document = measured()
    document["configuration"]["bound"] = activity({"type": "http", "url": "http://x"}, "probe")
    document["steady-state-hypothesis"]["probes"][0]["tolerance"] = "${bound}"
    later = {"bound": document["configuration"]["bound"]}
    assert "known only in the run, by the configuration 'bound'" in refusal(document, Values(later=later)).message


# The recorder.


@pytest.mark.parametrize(
    "change",
    [{"scope": "before"}, {"scope": "after"}, {"automatic": False}, {"automatic": 0}, {"ref": "x"}, {"name": ""}],
)
def test_the_recorder_is_in_force_for_the_whole_experiment(change: Object) -> None:
    document = measured()
    document["controls"][0] |= change
    assert "would not be in force" in refusal(document).message


def test_a_recorder_that_chaos_toolkit_would_not_load_is_none() -> None:
    document = measured()
    document["controls"][0]["provider"]["type"] = "process"
    assert is_measured(document)
    assert "by its provider.type" in refusal(document).message


def test_there_is_one_recorder_and_it_stands_in_the_experiments_own_controls() -> None:
    document = measured()
    document["controls"].append(recorder())
    assert "2 times" in refusal(document).message
    document = measured()
    document["method"][0]["controls"] = document.pop("controls")
    assert is_measured(document)
    assert "expected once, in its own controls" in refusal(document).message
    assert "0 times" in refusal(base("http://x")).message


@pytest.mark.parametrize("place", ["experiment", "hypothesis", "activity", "reference"])
def test_nothing_takes_the_place_of_the_recorder_even_when_it_is_unguarded(place: str) -> None:
    for control in (CONTROL | {"name": "recorder"}, CONTROL | {"ref": "recorder"}, {"ref": "recorder"}):
        document = measured(unguarded=["recorder", "mine"])
        document["method"].append({"ref": "look"})
        holder = {
            "experiment": document,
            "hypothesis": document["steady-state-hypothesis"],
            "activity": document["method"][0],
            "reference": document["method"][1],
        }[place]
        holder["controls"] = [*holder.get("controls", []), control]
        assert "would take the place of the recorder" in refusal(document).message


def test_the_arguments_of_the_recorder_are_understood_or_refused() -> None:
    for wrong in ({"targets_max": "many"}, {"unguarded": "act"}, {"replicas_max": float("inf")}):
        assert "the recorder control" in refusal(measured(**wrong)).message
    document = measured(unguarded=["${name}"])
    document["method"].append(activity(TOUCH))
    refusal(document)
    check_experiment(document, Values({"name": "act"}))


# Shapes.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(key=st.sampled_from(["controls", "method", "rollbacks", "steady-state-hypothesis", "configuration"]), value=JSON)
def test_whatever_stands_there_ends_in_an_error_of_ours_or_passes(key: str, value: Any) -> None:
    assert_told_in_a_line(measured() | {key: value})


@given(value=JSON)
@example(value="\n")
@example(value={"type": "python", "module": "a\n", "func": "b\u2028"})
def test_so_does_whatever_stands_in_an_activity(value: Any) -> None:
    for key in ("provider", "controls", "name", "ref", "tolerance", "type"):
        for place in ("method", "rollbacks"):
            document = measured()
            document[place] = [activity(DELETE) | {key: deepcopy(value)}]
            assert_told_in_a_line(document)


def assert_told_in_a_line(document: Object) -> None:
    message = ""
    try:
        check_experiment(document, Values())
    except FlametestError as error:
        message = error.message
    assert len(message.splitlines()) <= 1
