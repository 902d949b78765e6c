"""Environment and command line of containers."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.agent.environment import (
    ConfigError,
    PodContext,
    command_line,
    environment_of,
    expand,
    service_variables,
)
from flametest.sandbox.images.image import Image

IMAGE = Image("x", environment=(("PATH", "/bin"), ("COLOUR", "red")), entrypoint=("run",), command=("all",))


@pytest.fixture
def context(stand_in_objects: Any) -> PodContext:
    objects = stand_in_objects
    place = {"namespace": "default"}
    objects.create("configmaps", {"metadata": {"name": "settings", **place}, "data": {"COLOUR": "blue", "SIZE": "9"}})
    secret = base64.b64encode(b"hush").decode()
    objects.create("secrets", {"metadata": {"name": "keys", **place}, "data": {"password": secret}})
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    objects.create(
        "services", {"metadata": {"name": "my-web", **place}, "spec": {"clusterIP": "10.96.1.1", "ports": ports}}
    )
    objects.create("services", {"metadata": {"name": "none", **place}, "spec": {"clusterIP": "None", "ports": ports}})
    pod = {"metadata": {"name": "web-0", "uid": "u", "labels": {"app": "web"}, **place}, "spec": {"nodeName": "n"}}
    return PodContext(pod, objects, {"status.podIP": "10.244.1.9"}, {"cpu": "2", "memory": "1Gi"})


def made(context: PodContext, *env: dict[str, Any], **container: Any) -> dict[str, str]:
    return environment_of(context, {"name": "main", "env": list(env), **container}, IMAGE)


def test_env_lies_over_env_from_which_lies_over_the_image(context: PodContext) -> None:
    source = {"envFrom": [{"configMapRef": {"name": "settings"}}]}
    assert made(context, **source)["COLOUR"] == "blue"
    assert made(context, {"name": "COLOUR", "value": "green"}, **source)["COLOUR"] == "green"
    assert made(context)["COLOUR"] == "red"


def test_references_see_what_comes_before_them(context: PodContext) -> None:
    found = made(
        context,
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)2 $(NONE) $$(A)"},
        {"name": "C", "value": "$(B)"},
    )
    assert found["C"] == "12 $(NONE) $(A)"


def test_fields_resources_and_keys_are_looked_up(context: PodContext) -> None:
    def source(name: str, **value: Any) -> dict[str, Any]:
        return {"name": name, "valueFrom": value}

    found = made(
        context,
        source("NAME", fieldRef={"fieldPath": "metadata.name"}),
        source("IP", fieldRef={"fieldPath": "status.podIP"}),
        source("APP", fieldRef={"fieldPath": "metadata.labels['app']"}),
        source("MEMORY", resourceFieldRef={"resource": "limits.memory", "divisor": "1Mi"}),
        source("CPU", resourceFieldRef={"resource": "requests.cpu"}),
        source("PASSWORD", secretKeyRef={"name": "keys", "key": "password"}),
        source("GONE", configMapKeyRef={"name": "gone", "key": "x", "optional": True}),
        resources={"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}},
    )
    assert [found[name] for name in ("NAME", "IP", "APP", "MEMORY", "CPU", "PASSWORD")] == [
        "web-0",
        "10.244.1.9",
        "web",
        "64",
        "1",
        "hush",
    ]
    assert "GONE" not in found


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "gone", "key": "x"}}, 'configmap "gone" not found'),
        ({"secretKeyRef": {"name": "keys", "key": "x"}}, "couldn't find key x in Secret default/keys"),
        ({"fieldRef": {"fieldPath": "spec.moon"}}, "no field 'spec.moon'"),
    ],
)
def test_what_is_missing_is_named(context: PodContext, source: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(context, {"name": "X", "valueFrom": source})


def test_services_of_the_namespace_are_in_the_environment_unless_the_pod_wants_none(context: PodContext) -> None:
    found = made(context)
    assert found["MY_WEB_SERVICE_HOST"] == "10.96.1.1"
    assert found["MY_WEB_SERVICE_PORT_HTTP"] == "80"
    assert found["MY_WEB_PORT_80_TCP"] == "tcp://10.96.1.1:80"
    assert "NONE_SERVICE_HOST" not in found
    context.pod["spec"]["enableServiceLinks"] = False
    assert "MY_WEB_SERVICE_HOST" not in made(context)


def test_command_replaces_entrypoint_and_command_and_args_only_the_command() -> None:
    assert command_line({"name": "c"}, IMAGE, {}) == ("run", "all")
    assert command_line({"name": "c", "args": ["some"]}, IMAGE, {}) == ("run", "some")
    assert command_line({"name": "c", "command": ["go"]}, IMAGE, {}) == ("go",)
    assert command_line({"name": "c", "command": ["go"], "args": ["$(N)"]}, IMAGE, {"N": "2"}) == ("go", "2")
    with pytest.raises(ConfigError, match="no command"):
        command_line({"name": "c"}, Image("empty"), {})


@given(st.text(alphabet="ab()x ", max_size=30))
def test_a_text_without_a_dollar_is_not_changed(text: str) -> None:
    assert expand(text, {"a": "1"}) == text


@given(st.text(max_size=30), st.text(max_size=10))
def test_what_was_escaped_comes_out_as_it_was_written(before: str, value: str) -> None:
    escaped = before.replace("$", "$$")
    assert expand(escaped, {"a": value}) == before
    assert expand(escaped + "$(a)", {"a": value}) == before + value


def test_a_service_without_ports_has_no_variables() -> None:
    assert service_variables([{"metadata": {"name": "x"}, "spec": {"clusterIP": "10.96.0.9"}}]) == {}
