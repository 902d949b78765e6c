"""The well-known images in their default form: on the ports below 1024, as their own user, as root and as any other."""

import os
from typing import Any

import pytest

from tests.sandbox.conftest import Api

pytestmark = pytest.mark.sandbox

PODS = "/api/v1/namespaces/default/pods"
GET = "exec 3<>/dev/tcp/127.0.0.1/{}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; grep -q '200 OK' <&3"
# What answers in each, asked for within the pod itself.
ASKS = {
    "nginx": GET.format(80),
    "nginxinc/nginx-unprivileged": GET.format(8080),
    "redis:7": 'test "$(redis-cli ping)" = PONG',
    "postgres:16": "psql --host=/tmp --username=postgres --command='select 1'",
    "python:3": GET.format(81),
}
COMMANDS = {"python:3": ["python", "-m", "http.server", "81", "--directory", "/etc"]}


def pod(name: str, image: str, user: int | None) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "main",
        "image": image,
        "env": [{"name": "POSTGRES_PASSWORD", "value": "secret"}],
        "readinessProbe": {
            "exec": {"command": ["bash", "-c", ASKS[image]]},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        },
    }
    if image in COMMANDS:
        container["command"] = COMMANDS[image]
    context = {} if user is None else {"securityContext": {"runAsUser": user}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], **context},
    }


@pytest.mark.slow
def test_stand_ins_answer_whoever_runs_them(api: Api) -> None:
    for number, image in enumerate(ASKS):
        for user in (None, 0, 1000):
            api(PODS, pod(f"pod-{number}-{user or ('own' if user is None else 'root')}", image, user))

    def all_ready(found: dict[str, Any]) -> bool:
        states = [
            (status["ready"], status["restartCount"])
            for one in found["items"]
            for status in one.get("status", {}).get("containerStatuses", [])
        ]
        return states == [(True, 0)] * 3 * len(ASKS)

    api.watch_until(PODS, all_ready, seconds=90)


@pytest.mark.parametrize(
    ("image", "user", "given_to"),
    [
        ("redis:7", None, 999),
        ("postgres:16-alpine", None, 999),  # not its number, but its entry script takes the folder over
        ("python:3", 1000, 1000),
    ],
)
def test_an_init_container_gives_a_volume_to_the_user_of_a_stand_in(
    api: Api, image: str, user: int | None, given_to: int
) -> None:
    if os.getuid() != 0:
        pytest.skip("an ordinary user has one user id")
    wanted = pod(f"given-{image.partition(':')[0]}", image if image in ASKS else "postgres:16", user)
    folder = "/var/lib/postgresql/data" if image.startswith("postgres") else "/data"
    mounts = [{"name": "data", "mountPath": folder}]
    main = wanted["spec"]["containers"][0] | {"image": image, "volumeMounts": mounts}
    if user is not None:
        main["command"] = [
            "sh",
            "-c",
            f"echo mine > {folder}/sub/file && exec python -m http.server 81 --directory /etc",
        ]
    prepare = f"mkdir {folder}/sub && chown -R {given_to}:{given_to} {folder} && chmod -R go= {folder}"
    if image.startswith("postgres"):
        main["env"] = [*main["env"], {"name": "PGDATA", "value": f"{folder}/sub"}]
    init: dict[str, Any] = {"name": "own", "image": "busybox", "command": ["sh", "-c", prepare], "volumeMounts": mounts}
    init["securityContext"] = {"runAsUser": 0}
    wanted["spec"] |= {"containers": [main], "initContainers": [init], "volumes": [{"name": "data", "emptyDir": {}}]}
    api(PODS, wanted)

    def served(found: dict[str, Any]) -> bool:
        states = [
            (status["ready"], status["restartCount"])
            for one in found["items"]
            if one["metadata"]["name"] == wanted["metadata"]["name"]
            for status in one.get("status", {}).get("containerStatuses", [])
        ]
        return states == [(True, 0)]

    api.watch_until(PODS, served, seconds=90)
