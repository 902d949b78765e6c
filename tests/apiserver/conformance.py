"""Compare a server with recordings of a real Kubernetes: the same requests, the answers field by field.

A recording is a list of steps. Each has a request (``method``, ``path``, ``body`` or ``body_text``, ``headers``),
what to take from its answer for later paths (``capture``), a condition to wait for (``until``), which fields count
(``only``, ``ignore``), and what the real server answered (``recorded``). What differs from run to run is masked.
"""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.apiserver.serving import Client

__all__ = ["Difference", "compare", "read_recording"]

WAIT_SECONDS_MAX = 10.0
_HASH, _SUFFIX = "[bcdf0-9ghjklmnpqrstvwxz]{8,10}", "[bcdfghjklmnpqrstvwxz2456789]{5}"
_NAME = "([a-z][a-z0-9]*(?:-[a-z0-9]+)*?)"
_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uid>"),
    (re.compile(rf"\b{_NAME}-{_HASH}-{_SUFFIX}\b"), r"\1-<hash>-<suffix>"),
    (re.compile(r"\b(?:10|127|172|192)\.\d+\.\d+\.\d+\b"), "<ip>"),
)
_SUFFIXED = re.compile(rf"\b{_NAME}-{_SUFFIX}\b")
_MASKED_FIELDS = {
    "resourceVersion": "<rv>",
    "uid": "<uid>",
    "nodePort": "<port>",
    "healthCheckNodePort": "<port>",
    "nodeName": "<node>",
    "hostIP": "<ip>",
    "continue": "<token>",
}
_NAMING_FIELDS = ("name", "generateName", "pod", "hostname")


@dataclass(frozen=True)
class Difference:
    """A step whose answer differs: which fields, as ``path: found (recorded)``."""

    step: str
    fields: list[str]


def read_recording(path: Path) -> list[dict[str, Any]]:
    """Return the steps of a recording."""
    steps: list[dict[str, Any]] = json.loads(path.read_text())
    return steps


def _mask(value: Any, field: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _mask(item, key) for key, item in value.items() if key != "managedFields"}
    if isinstance(value, list):
        return [_mask(item, field) for item in value]
    if field in _MASKED_FIELDS and value:
        return _MASKED_FIELDS[field]
    if isinstance(value, str):
        for pattern, mask in _MASKS:
            value = pattern.sub(mask, value)
        if field in _NAMING_FIELDS or '"' in value:
            value = _SUFFIXED.sub(r"\1-<suffix>", value)
    return value


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _drop(value: Any, path: str) -> None:
    head, _, rest = path.partition(".")
    items = value if isinstance(value, list) else []
    if isinstance(value, dict):
        items = [value[head]] if head in value and rest else []
        if not rest:
            value.pop(head, None)
    for item in items:
        _drop(item, rest)


def _leaves(value: Any, path: str = "") -> dict[str, str]:
    if not value or not isinstance(value, dict | list):
        return {path: json.dumps(value)}
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    found: dict[str, str] = {}
    for key, item in entries:
        found |= _leaves(item, f"{path}.{key}" if path else str(key))
    return found


def _fill(text: str, captured: dict[str, Any]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: str(captured[found[1]]), text)


def _perform(client: Client, step: dict[str, Any], captured: dict[str, Any]) -> tuple[int, Any]:
    raw = step["body_text"] if "body_text" in step else json.dumps(step["body"]) if "body" in step else ""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        path = _fill(step["path"], captured)
        answer = client.call(step["method"], path, headers=step.get("headers"), raw=_fill(raw, captured).encode())
        met = all(_at(answer.body, path) == wanted for path, wanted in step.get("until", {}).items())
        if met or time.monotonic() > deadline:
            break
    for name, path in step.get("capture", {}).items():
        captured[name] = _at(answer.body, path)
    return answer.status, answer.body


def _difference(step: dict[str, Any], status: int, body: Any) -> Difference | None:
    recorded = step["recorded"]
    body = _mask(body)
    for path in step.get("ignore", ()):
        _drop(body, path)
    if "only" in step:
        body = {path: _at(body, path) for path in step["only"]}
    found, wanted = _leaves(body), _leaves(recorded["body"])
    fields = [f"{path}: {found.get(path)} ({wanted.get(path)})" for path in sorted(found.keys() | wanted.keys())]
    fields = [
        text
        for text, path in zip(fields, sorted(found.keys() | wanted.keys()), strict=True)
        if found.get(path) != wanted.get(path)
    ]
    if status != recorded["status"]:
        fields.insert(0, f"HTTP status: {status} ({recorded['status']})")
    return Difference(step["name"], fields) if fields else None


def compare(client: Client, steps: list[dict[str, Any]]) -> list[Difference]:
    """Perform the steps in order and return those that differ from the recording."""
    captured: dict[str, Any] = {}
    differences = (_difference(step, *_perform(client, step, captured)) for step in steps)
    return [difference for difference in differences if difference is not None]
