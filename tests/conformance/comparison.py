"""Compare a server with recordings of a real Kubernetes: the same requests, the answers field by field.

A recording is a list of steps. Each has a request (``method``, ``path``, ``body`` or ``body_text``, ``headers``),
what to take from its answer for later paths (``capture``), a condition to wait for (``until``), which fields count
(``only``, ``ignore``), and what the real server answered (``recorded``). Values that differ from run to run are masked
on both sides: times, identifiers, generated names, addresses, ports.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RECORDINGS", "Ask", "Comparison", "compare", "read_recording"]

RECORDINGS = Path(__file__).parent / "recordings"
WAIT_SECONDS_MAX = 60.0  # of a step that names no limit of its own, as for the tool that recorded
PAUSE_SECONDS = 0.02

Ask = Callable[[str, str, dict[str, str], bytes], tuple[int, Any]]
"""Sends method, path, headers beside the usual ones (empty: left out) and body; returns HTTP status and content."""

_CONSONANTS = "bcdfghjklmnpqrstvwxz"
_NAME = "([a-z][a-z0-9]*(?:-[a-z0-9]+)*?)"
_SUFFIX = rf"[{_CONSONANTS}2456789]{{5}}"
_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uid>"),
    (re.compile(rf"\b{_NAME}-[{_CONSONANTS}0-9]{{8,10}}-{_SUFFIX}\b"), r"\1-<hash>-<suffix>"),
    (re.compile(rf"\b{_NAME}-(?=[a-z0-9]*\d)[{_CONSONANTS}2456789]{{8,10}}\b"), r"\1-<hash>"),
    (re.compile(r"\b(?:10|127|172|192)\.\d+\.\d+\.\d+\b"), "<ip>"),
)
_SUFFIXED = re.compile(rf"\b{_NAME}-{_SUFFIX}\b")
_NAMING_FIELDS = ("name", "generateName", "pod", "hostname")
_MASKED_FIELDS = {
    "resourceVersion": "<rv>",
    "uid": "<uid>",
    "nodePort": "<port>",
    "healthCheckNodePort": "<port>",
    "containerID": "<id>",
    "imageID": "<id>",
    "pod-template-hash": "<hash>",
    "controller-revision-hash": "<hash>",
    "continue": "<token>",
    "observedAt": "<time>",
    "nodeName": "<node>",
    "hostIP": "<ip>",
}


@dataclass(frozen=True)
class Comparison:
    """How one step was answered.

    Attributes:
        step: its name.
        same_outcome: whether HTTP status and ``reason`` are those of the recording.
        fields: how many fields the recording has, the HTTP status included.
        equal_fields: how many of them are the same.
        differences: each field that is not, or that the recording does not have, as ``path: found (recorded)``.
    """

    step: str
    same_outcome: bool
    fields: int
    equal_fields: int
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def read_recording(name: str) -> list[dict[str, Any]]:
    """Return the steps of a recording."""
    steps: list[dict[str, Any]] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return steps


def compare(ask: Ask, steps: Iterable[dict[str, Any]]) -> list[Comparison]:
    """Perform the steps in order and return how each was answered."""
    captured: dict[str, Any] = {}
    return [_compared(step, *_perform(ask, step, captured)) for step in steps]


def _perform(ask: Ask, step: dict[str, Any], captured: dict[str, Any]) -> tuple[int, Any]:
    raw = step["body_text"] if "body_text" in step else json.dumps(step["body"]) if "body" in step else ""
    deadline = time.monotonic() + step.get("timeout_s", WAIT_SECONDS_MAX)
    while True:
        path, body = _fill(step["path"], captured), _fill(raw, captured).encode()
        status, content = ask(step["method"], path, step.get("headers", {}), body)
        met = all(_at(content, where) == wanted for where, wanted in step.get("until", {}).items())
        if met or time.monotonic() > deadline:
            break
        threading.Event().wait(PAUSE_SECONDS)
    captured.update({name: _at(content, where) for name, where in step.get("capture", {}).items()})
    return status, content


def _compared(step: dict[str, Any], status: int, content: Any) -> Comparison:
    recorded = step["recorded"]
    body = _mask(content)
    for path in step.get("ignore", ()):
        _drop(body, path)
    if "only" in step:
        body = {path: _at(body, path) for path in step["only"]}
    found = {"HTTP status": json.dumps(status)} | _leaves(body)
    wanted = {"HTTP status": json.dumps(recorded["status"])} | _leaves(recorded["body"])
    differing = [path for path in (wanted | found) if found.get(path) != wanted.get(path)]
    return Comparison(
        step["name"],
        not {"HTTP status", "reason"} & set(differing),
        len(wanted),
        sum(found.get(path) == leaf for path, leaf in wanted.items()),
        tuple(f"{path}: {found.get(path)} ({wanted.get(path)})" for path in differing),
    )


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
    """Delete a field; ``*`` stands for every item or key."""
    head, _, rest = path.partition(".")
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value) if head == "*" else [head] if head in value else []
    elif isinstance(value, list):
        keys = [number for number in range(len(value)) if head in ("*", str(number))]
    for key in keys:
        if rest:
            _drop(value[key], rest)
        elif isinstance(value, dict):
            del value[key]


def _leaves(value: Any, path: str = "") -> dict[str, str]:
    """Return each scalar as JSON by its path; an empty container counts as one."""
    if not value or not isinstance(value, dict | list):
        return {path: json.dumps(value)}
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    found: dict[str, str] = {}
    for key, item in entries:
        found |= _leaves(item, f"{path}.{key}" if path else str(key))
    return found


def _fill(text: str, captured: dict[str, Any]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: str(captured[found[1]]), text)
