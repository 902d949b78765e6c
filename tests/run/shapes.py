"""Experiments of the shapes that people publish, right ones and broken ones, and what is to become of each."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import yaml

from tests.chaos.cells import recorder

__all__ = ["ENVIRONMENT", "Shape", "shapes"]

Object = dict[str, Any]
ENVIRONMENT = {"SHAPE_TEXT": "app=api", "SHAPE_NUMBER": "1", "SHAPE_CONTEXT": "pretended"}
RUNS = ""


@dataclass(frozen=True)
class Shape:
    """One experiment file.

    Attributes:
        name: the file's name.
        text: what stands in it.
        refusal: what the error says; empty for one that runs.
    """

    name: str
    text: str
    refusal: str


def base() -> Object:
    """Return an experiment that deletes one pod, as most of them do."""
    return {
        "version": "1.0.0",
        "title": "A pod goes",
        "description": "Users should not notice.",
        "tags": ["kubernetes"],
        "configuration": {},
        "secrets": {},
        "controls": [recorder()],
        "steady-state-hypothesis": {"title": "It answers", "probes": [entry()]},
        "method": [terminate(label_selector="app=api")],
        "rollbacks": [],
    }


def entry(**more: Any) -> Object:
    return probe({"type": "http", "url": "http://127.0.0.1:1/", "timeout": 3}, "entry", tolerance=200, **more)


def probe(provider: Object, name: str = "look", **more: Any) -> Object:
    return {"type": "probe", "name": name, "provider": provider, **more}


def action(provider: Object, name: str = "act", **more: Any) -> Object:
    return {"type": "action", "name": name, "provider": provider, **more}


def python(module: str, func: str, **arguments: Any) -> Object:
    return {"type": "python", "module": module, "func": func, "arguments": arguments}


def terminate(**arguments: Any) -> Object:
    return action(python("chaosk8s.pod.actions", "terminate_pods", ns="flametest", **arguments), "delete-pod")


Change = Callable[[Object], Any]


def put(**parts: Any) -> Change:
    return lambda one: one.update(
        {key.replace("_", "-") if key == "steady_state_hypothesis" else key: value for key, value in parts.items()}
    )


def without(key: str) -> Change:
    return lambda one: one.pop(key)


def method(*activities: Object) -> Change:
    return put(method=[*activities, terminate(label_selector="app=api")])


def only(*activities: Object) -> Change:
    return put(method=list(activities))


def tolerance(value: Any) -> Change:
    return put(**{"steady-state-hypothesis": {"title": "It answers", "probes": [entry() | {"tolerance": value}]}})


def hypothesis(value: Any) -> Change:
    return put(**{"steady-state-hypothesis": value})


def configured(value: Any, *, selector: str = "${x}") -> Change:
    def change(one: Object) -> None:
        one["configuration"] = {"x": value}
        one["method"] = [terminate(label_selector=selector)]

    return change


def recorded(change: Object, **limits: Any) -> Change:
    return put(controls=[recorder(**limits) | change])


def beside(control: Any, **limits: Any) -> Change:
    return put(controls=[recorder(**limits), control])


CONTROL: Object = {"name": "mine", "provider": {"type": "python", "module": "chaosprometheus.metrics"}}
PROCESS: Object = {"type": "process", "path": "true", "arguments": ["-n"]}
ENV: Object = {"type": "env", "key": "SHAPE_TEXT"}
NUMBER: Object = {"type": "env", "key": "SHAPE_NUMBER"}
NOT_SET: Object = {"type": "env", "key": "SHAPE_NOT_SET"}
GATED = "there is no way to know in advance"


def _configurations() -> Iterator[tuple[str, Change, str]]:
    yield "env", configured(ENV), RUNS
    yield "env-not-set", configured(NOT_SET), "does not exist: SHAPE_NOT_SET"
    yield "env-default", configured(NOT_SET | {"default": "app=api"}), RUNS
    yield "env-default-null", configured(NOT_SET | {"default": None}, selector="app=api"), RUNS
    yield "env-default-null-used", configured(NOT_SET | {"default": None}), "selects every pod"
    yield "env-default-empty", configured(NOT_SET | {"default": ""}), "selects every pod"
    yield "env-without-key", configured({"type": "env"}), "cannot read the experiment: KeyError"
    yield "env-unknown-type", configured(ENV | {"env_var_type": "date"}), "cannot read the experiment: ValueError"
    yield "env-no-number", configured(ENV | {"env_var_type": "int"}), "cannot read the experiment: ValueError"
    yield "env-in-a-text", configured(ENV, selector="${x},app=api"), RUNS
    yield "plain", configured("app=api"), RUNS
    yield "plain-list", configured(["app=api"]), "expected a text"
    yield "unknown-name", only(terminate(label_selector="app=api", qty="${nowhere}")), "its qty is '${nowhere}'"
    for kind in ("int", "integer", "json"):
        qty = terminate(label_selector="app=api", qty="${n}")
        yield f"typed-{kind}", put(configuration={"n": NUMBER | {"env_var_type": kind}}, method=[qty]), RUNS
    yield (
        "untyped",
        put(configuration={"n": NUMBER}, method=[terminate(label_selector="app=api", qty="${n}")]),
        "its qty",
    )
    http = {"type": "http", "url": "http://127.0.0.1:1/"}
    yield "dynamic-http", configured(probe(http)), RUNS
    yield "dynamic-process", configured(probe(PROCESS)), GATED
    yield "dynamic-module", configured(probe(python("mine", "look"))), GATED
    yield "dynamic-broken", configured({"type": "probe"}), "has no provider"
    yield "null", put(configuration=None), "cannot read the experiment"
    yield "list", put(configuration=["x"]), "cannot read the experiment"


def _secrets() -> Iterator[tuple[str, Change, str]]:
    for name, secret, refusal in (
        ("env", ENV, RUNS),
        ("static", "app=api", RUNS),
        ("not-set", NOT_SET, "does not exist: SHAPE_NOT_SET"),
        ("vault", {"type": "vault", "path": "a"}, "selects every pod"),
        ("number", 5, "its label_selector"),
    ):
        filled = terminate(label_selector="${label}")
        yield name, put(secrets={"app": {"label": secret}}, method=[filled]), refusal
    yield "flat", put(secrets={"app": "text"}), "cannot read the experiment"
    yield "null", put(secrets=None), "cannot read the experiment"
    for key, value, refusal in (
        ("KUBERNETES_CONTEXT", {"type": "env", "key": "SHAPE_CONTEXT"}, RUNS),
        ("KUBERNETES_CONTEXT", "prod", "chooses a cluster"),
        ("KUBERNETES_HOST", "https://prod", "chooses a cluster"),
        ("KUBERNETES_VERIFY_SSL", "true", RUNS),
        ("TOKEN", "t", RUNS),
    ):
        fault = terminate(label_selector="app=api")
        fault["provider"]["secrets"] = ["k8s"]
        name = f"cluster-{key}-{value if isinstance(value, str) else 'env'}".replace("/", "").replace(":", "")
        yield name, put(secrets={"k8s": {key: value}}, method=[fault]), refusal


def _controls() -> Iterator[tuple[str, Change, str]]:
    yield "another", beside(CONTROL), GATED
    yield "another-unguarded", beside(CONTROL, unguarded=["mine"]), RUNS
    yield "another-first", put(controls=[CONTROL, recorder()]), GATED
    yield "shadowing", beside(CONTROL | {"name": "recorder"}), "would take the place"
    yield "reference", beside({"ref": "recorder"}), "would take the place"
    yield "text", beside("recorder"), "expected a list of objects"
    yield "twice", beside(recorder()), "2 times"
    yield "null", put(controls=None), "no recorder control"
    yield "none", put(controls=[]), "no recorder control"
    yield "missing", without("controls"), "no recorder control"
    yield "scoped", recorded({"scope": "after"}), "would not be in force"
    yield "manual", recorded({"automatic": False}), "would not be in force"
    yield "radius-text", recorded({}, targets_max="many"), "targets_max"
    yield "of-activity", only(terminate(label_selector="app=api") | {"controls": [CONTROL]}), GATED
    yield (
        "of-activity-unguarded",
        lambda one: (
            recorded({}, unguarded=["mine"])(one),
            only(terminate(label_selector="app=api") | {"controls": [CONTROL]})(one),
        ),
        RUNS,
    )


def _activities() -> Iterator[tuple[str, Change, str]]:
    look = probe({"type": "http", "url": "http://127.0.0.1:1/"})
    yield "ref-to-hypothesis", method({"ref": "entry"}), RUNS
    yield "ref-to-method", method(look, {"ref": "look"}), RUNS
    yield "ref-to-nothing", method({"ref": "nowhere"}), "does not exist"
    yield "ref-empty", method({"ref": ""}), "has no name"
    yield "ref-number", method({"ref": 5}), "does not exist"
    yield "ref-in-rollbacks", put(rollbacks=[{"ref": "entry"}]), RUNS
    yield "ref-in-rollbacks-to-nothing", put(rollbacks=[{"ref": "nowhere"}]), "does not exist"
    yield "background", method(look | {"background": True}), RUNS
    yield "background-text", method(look | {"background": "yes"}), "background must be a boolean"
    yield "pauses", method(look | {"pauses": {"before": 1, "after": 2}}), RUNS
    yield "pauses-filled", method(look | {"pauses": {"after": "${x}"}}), RUNS
    yield "pauses-text", method(look | {"pauses": {"before": "long"}}), "pause must be a number"
    yield "pauses-list", method(look | {"pauses": [1]}), "cannot read the experiment"
    yield "timeout-text", method(look | {"timeout": "long"}), "timeout must be a number"
    yield "without-name", method({key: value for key, value in look.items() if key != "name"}), "has no name"
    yield "without-provider", method({"type": "probe", "name": "look"}), "has no provider"
    yield "without-type", method({key: value for key, value in look.items() if key != "type"}), "must have a type"
    yield "of-another-type", method(look | {"type": "check"}), "not a supported activity type"
    yield "text", method("look"), "expected a list of objects"  # type: ignore[arg-type]
    yield "process-action", method(action(PROCESS)), GATED
    yield "process-probe", method(probe(PROCESS)), GATED
    yield "process-rollback", put(rollbacks=[action(PROCESS)]), GATED
    yield "process-unguarded", lambda one: (recorded({}, unguarded=["act"])(one), method(action(PROCESS))(one)), RUNS
    missing = action(PROCESS | {"path": "no-such-program"})
    yield "process-missing", lambda one: (recorded({}, unguarded=["act"])(one), method(missing)(one)), "cannot be found"
    for verb, refusal in (("HEAD", RUNS), ("OPTIONS", RUNS), ("POST", GATED), ("PUT", GATED), ("DELETE", GATED)):
        yield f"http-{verb}", method(probe({"type": "http", "url": "http://127.0.0.1:1/", "method": verb})), refusal
    yield "http-without-url", method(probe({"type": "http"})), "must have a URL"
    yield "http-headers-list", method(probe({"type": "http", "url": "http://x", "headers": ["a"]})), GATED
    yield "unknown-provider", method(probe({"type": "grpc"})), GATED
    yield "module", method(action(python("chaosaws.ec2.actions", "stop_instances"))), GATED
    yield "module-as-probe", method(probe(python("chaosaws.ec2.probes", "describe_instances"))), GATED
    unguarded = method(action(python("no_such_module", "act")))
    yield "module-missing", lambda one: (recorded({}, unguarded=["act"])(one), unguarded(one)), "could not find Python"


def _own() -> Iterator[tuple[str, Change, str]]:
    module = "flametest.chaos.actions"
    yield "unknown-function", method(action(python(module, "inject_everything"))), "inject_everything"
    waiting = python(module, "observe_baseline", seconds=1, minutes=1)
    yield "unknown-argument", method(action(waiting)), "argument 'minutes' is not part of the function"
    yield "missing-argument", method(action(python(module, "observe_baseline"))), "seconds"
    yield "text-for-number", method(action(python(module, "observe_baseline", seconds="two"))), "its seconds is 'two'"
    yield "null-for-number", method(action(python(module, "observe_baseline", seconds=None))), "its seconds is None"
    yield "waits", method(action(python(module, "observe_baseline", seconds=2))), RUNS
    scaling = python(module, "inject_scaling", workload="api", replicas=5)
    yield "scaling", only(action(scaling)), RUNS
    scaling = python(module, "inject_scaling", workload="api", replicas=5000)
    yield "scaling-far", only(action(scaling)), "more than the 10"
    scaling = python(module, "inject_scaling", workload="api", replicas="five")
    yield "scaling-text", only(action(scaling)), "its replicas is 'five'"
    scaling = python(module, "inject_scaling", workload="api", replicas=5, kind="Pod")
    yield "scaling-kind", only(action(scaling)), "Pod"
    yield "fault-as-probe", only(probe(scaling)), "is of type 'probe'"


def _extension() -> Iterator[tuple[str, Change, str]]:
    for name, arguments, refusal in (
        ("name", {"name_pattern": "^api-"}, RUNS),
        ("order", {"label_selector": "app=api", "order": "oldest"}, RUNS),
        ("random", {"label_selector": "app=api", "rand": True}, RUNS),
        ("grace", {"label_selector": "app=api", "grace_period": 0}, RUNS),
        ("percentage", {"label_selector": "app=api", "mode": "percentage", "qty": 30}, RUNS),
        ("all", {"label_selector": "app=api", "all": True}, "3 of 3 pods"),
        ("too-many", {"label_selector": "app=api", "qty": 2}, "2 of 3 pods"),
        ("qty-null", {"label_selector": "app=api", "qty": None}, "its qty is None"),
        ("qty-text", {"label_selector": "app=api", "qty": "two"}, "its qty is 'two'"),
        ("qty-negative", {"label_selector": "app=api", "qty": -1}, "its qty is -1"),
        ("qty-zero", {"label_selector": "app=api", "qty": 0}, "0 of 3"),
        ("qty-float", {"label_selector": "app=api", "qty": 1.5}, "its qty is 1.5"),
        ("qty-bool", {"label_selector": "app=api", "qty": True}, "its qty is True"),
        ("mode", {"label_selector": "app=api", "mode": "some"}, "its mode is 'some'"),
        ("order-text", {"label_selector": "app=api", "order": "newest"}, "its order is 'newest'"),
        ("grace-null", {"label_selector": "app=api", "grace_period": None}, "its grace_period is None"),
        ("pattern", {"name_pattern": "("}, "is no regular expression"),
        ("unselective", {}, "selects every pod"),
        ("selects-nothing", {"name_pattern": "^nowhere-"}, "no pod of namespace"),
        ("unknown-argument", {"label_selector": "app=api", "quantity": 1}, "quantity"),
        ("label-list", {"label_selector": ["app=api"]}, "its label_selector"),
    ):
        yield f"terminate-{name}", only(terminate(**arguments)), refusal
    other = terminate(label_selector="app=api")
    other["provider"]["arguments"]["ns"] = "prod"
    yield "terminate-elsewhere", only(other), "namespace 'prod' is not one of flametest"
    del other["provider"]["arguments"]["ns"]
    yield "terminate-default", only(other), "namespace 'default' is not one of flametest"
    for name, func, arguments, refusal in (
        ("chaosk8s.actions", "delete_pods", {"name": "api", "ns": "flametest"}, RUNS),
        ("chaosk8s.pod.actions", "delete_pods", {"label_selector": "app=api", "ns": "flametest"}, RUNS),
        ("chaosk8s.actions", "kill_microservice", {"name": "api"}, GATED),
        ("chaosk8s.actions", "start_microservice", {"spec_path": "a.json"}, GATED),
        ("chaosk8s.actions", "scale_microservice", {"name": "api", "replicas": 1, "ns": "flametest"}, RUNS),
        ("chaosk8s.deployment.actions", "scale_deployment", {"name": "api", "replicas": 0, "ns": "flametest"}, RUNS),
        ("chaosk8s.deployment.actions", "scale_deployment", {"name": "api", "ns": "flametest"}, "its replicas is none"),
        ("chaosk8s.deployment.actions", "scale_deployment", {"name": "api", "replicas": 99, "ns": "flametest"}, "10"),
        ("chaosk8s.deployment.actions", "delete_deployment", {"name": "api"}, GATED),
        ("chaosk8s.node.actions", "drain_nodes", {"label_selector": "a=b"}, "does not name its node"),
        ("chaosk8s.node.actions", "cordon_node", {"name": "node"}, GATED),
        ("chaosk8s.pod.actions", "exec_in_pods", {"cmd": "ls"}, GATED),
        ("chaosk8s.networking.actions", "deny_all_ingress", {}, GATED),
        ("chaosk8s.no.such.actions", "terminate_pods", {"name_pattern": "a"}, "could not find Python module"),
    ):
        yield f"{name}-{func}-{len(str(arguments))}", only(action(python(name, func, **arguments))), refusal
    for name, func, arguments in (
        ("chaosk8s.probes", "all_microservices_healthy", {"ns": "flametest"}),
        ("chaosk8s.probes", "microservice_available_and_healthy", {"name": "api"}),
        ("chaosk8s.probes", "microservice_is_not_available", {"name": "api"}),
        ("chaosk8s.probes", "deployment_is_fully_available", {"name": "api"}),
        ("chaosk8s.probes", "service_endpoint_is_initialized", {"name": "api"}),
        ("chaosk8s.probes", "read_microservices_logs", {"name": "api", "last": "3s"}),
        ("chaosk8s.pod.probes", "pods_in_phase", {"label_selector": "app=api", "ns": "flametest"}),
        ("chaosk8s.pod.probes", "count_pods", {"label_selector": "app=api"}),
        ("chaosk8s.deployment.probes", "deployment_available_and_healthy", {"name": "api"}),
        ("chaosk8s.node.probes", "get_nodes", {}),
    ):
        yield f"probe-{name}-{func}", method(probe(python(name, func, **arguments))), RUNS


def _hypotheses() -> Iterator[tuple[str, Change, str]]:
    for name, value, refusal in (
        ("true", True, RUNS),
        ("number", 200, RUNS),
        ("text", "ok", RUNS),
        ("list", [200, 204], RUNS),
        ("filled", "${x}", RUNS),
        ("range", {"type": "range", "range": [0, 5], "target": "body"}, RUNS),
        ("range-of-one", {"type": "range", "range": [0]}, "two values"),
        ("range-text", {"type": "range", "range": ["a", "b"]}, "must be a number"),
        ("regex", {"type": "regex", "pattern": "^a", "target": "body"}, RUNS),
        ("regex-broken", {"type": "regex", "pattern": "("}, "seems invalid"),
        ("jsonpath", {"type": "jsonpath", "path": "$.a"}, "jsonpath2"),
        ("probe-http", probe({"type": "http", "url": "http://127.0.0.1:1/", "arguments": {}}, "bound"), RUNS),
        ("probe-logs", probe(python("chaosk8s.pod.probes", "should_be_found_in_logs", pattern="a"), "bound"), RUNS),
        ("probe-process", probe(PROCESS, "bound"), GATED),
        ("probe-module", probe(python("mine", "judge"), "bound"), GATED),
        ("without-type", {"pattern": "a"}, "is unsupported"),
        ("float", 0.5, "tolerance must either be"),
        ("null", None, "tolerance must either be"),
    ):
        yield f"tolerance-{name}", tolerance(value), refusal
    yield (
        "without-tolerance",
        hypothesis({"title": "a", "probes": [probe(entry()["provider"])]}),
        "must have a tolerance",
    )
    yield "without-title", hypothesis({"probes": [entry()]}), "hypothesis requires a title"
    yield "without-probes", hypothesis({"title": "a"}), RUNS
    yield "missing", without("steady-state-hypothesis"), RUNS
    yield "list", hypothesis([entry()]), "expected an object"
    yield "null", hypothesis(None), "cannot read the experiment"


def _tops() -> Iterator[tuple[str, Change, str]]:
    for strategy in ("default", "before-method-only", "after-method-only", "during-method-only", "continuously"):
        yield f"hypothesis-{strategy}", put(runtime={"hypothesis": {"strategy": strategy}}), RUNS
    for strategy in ("default", "always", "never", "deviated"):
        yield f"rollbacks-{strategy}", put(runtime={"rollbacks": {"strategy": strategy}}), RUNS
    yield "runtime-unknown", put(runtime={"hypothesis": {"strategy": "sometimes"}}), "runtime.hypothesis.strategy"
    yield "runtime-text", put(runtime="fast"), "runtime.hypothesis.strategy"
    yield "contributions", put(contributions={"reliability": "high"}), RUNS
    yield "extensions", put(extensions=[{"name": "chatops", "channel": "a"}]), RUNS
    yield "extensions-unnamed", put(extensions=[{"channel": "a"}]), "require a non-empty name"
    yield "tags-numbers", put(tags=[1]), "tags must be a non-empty string"
    yield "title-missing", without("title"), "has no title"
    yield "description-missing", without("description"), "has no description"
    yield "method-missing", without("method"), "requires a method"
    yield "method-empty", put(method=[]), RUNS
    yield "method-object", put(method={"a": 1}), "expected a list of objects"
    yield "rollbacks-null", put(rollbacks=None), "cannot read the experiment"
    yield "rollbacks-missing", without("rollbacks"), RUNS
    yield "rollbacks-fault", put(rollbacks=[terminate(label_selector="app=api")], method=[]), RUNS


FAMILIES: dict[str, Callable[[], Iterator[tuple[str, Change, str]]]] = {
    "configuration": _configurations,
    "secrets": _secrets,
    "controls": _controls,
    "activities": _activities,
    "own": _own,
    "extension": _extension,
    "hypothesis": _hypotheses,
    "top": _tops,
}


def shapes() -> Iterator[Shape]:
    """Yield every shape, each second one in YAML, and files that cannot be parsed."""
    number = 0
    for family, changes in FAMILIES.items():
        for name, change, refusal in changes():
            document = deepcopy(base())
            change(document)
            number += 1
            suffix = ("json", "yaml", "yml")[number % 3]
            text = json.dumps(document) if suffix == "json" else yaml.safe_dump(document)
            yield Shape(f"{family}-{name}.{suffix}", text, refusal)
    anchored = yaml.safe_dump(base()).replace("tags:", "anchor: &one 1\nalias: *one\nwhen: 2024-01-01\ntags:")
    yield Shape("file-anchors.yaml", anchored, RUNS)
    yield Shape("file-two-documents.yaml", "a: 1\n---\nb: 2\n", "is no YAML")
    yield Shape("file-tab.yaml", "a:\n\t- 1\n", "is no YAML")
    yield Shape("file-list.yaml", "- a\n", "holds no YAML object")
    yield Shape("file-empty.yaml", "", "holds no YAML object")
    yield Shape("file-empty.json", "", "is no JSON")
    yield Shape("file-comment.json", "// none\n{}", "is no JSON")
    yield Shape("file-null.json", "null", "holds no JSON object")
    yield Shape("file-tag.yaml", "!!python/name:os.system ''", "is no YAML")
