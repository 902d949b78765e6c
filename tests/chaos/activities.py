"""Activities of chaostoolkit-kubernetes as `chaos run` runs them, and which of them a test has exercised."""

import functools
import importlib
import json
import pkgutil
import time
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import chaosk8s
from chaoslib.provider.python import run_python_activity

from tests.patience import PATIENCE_SECONDS

__all__ = ["Activities", "exercised_by", "exercises", "offered"]


Test = Callable[..., None]


def offered() -> set[str]:
    """Return all activities of the package, as ``module.function`` below the package's name."""
    found = set()
    for module in pkgutil.walk_packages(chaosk8s.__path__, "chaosk8s."):
        if module.name.endswith((".actions", ".probes")):
            names = importlib.import_module(module.name).__all__
            found |= {f"{module.name.removeprefix('chaosk8s.')}.{name}" for name in names}
    return found


def exercises(*names: str) -> Callable[[Test], Test]:
    """Say which activities a test exercises, and fail it when it has run others, or not all of them."""

    def mark(test: Test) -> Test:
        @functools.wraps(test)
        def checked(*, run: Activities, **fixtures: Any) -> None:
            test(run=run, **fixtures)
            assert run.names == set(names)

        checked.activities = frozenset(names)  # type: ignore[attr-defined]
        return checked

    return mark


def exercised_by(tests: dict[str, Any]) -> set[str]:
    """Return what the tests of a module say they exercise."""
    return {name for test in tests.values() for name in getattr(test, "activities", ())}


class Activities:
    """Runs activities in one namespace, and remembers their names."""

    def __init__(self, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self._folder = folder
        self.names: set[str] = set()

    def __call__(self, name: str, /, **arguments: Any) -> Any:
        """Run ``module.function`` and return its output; raises ActivityFailed as it does."""
        module, function = f"chaosk8s.{name}".rsplit(".", 1)
        if "ns" in signature(getattr(importlib.import_module(module), function)).parameters:
            arguments.setdefault("ns", self.namespace)
        self.names.add(name)
        provider = {"type": "python", "module": module, "func": function, "arguments": arguments}
        return run_python_activity({"name": name, "provider": provider}, {}, {})

    def until(self, name: str, met: Callable[[Any], bool] = bool, /, **arguments: Any) -> None:
        """Run a probe again until its output is as wanted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not met(output := self(name, **arguments)):
            assert time.monotonic() < deadline, f"{name} still says {output}"
            time.sleep(0.05)

    def file(self, content: dict[str, Any]) -> str:
        """Return the path of a file with a description, as those activities want it that create something."""
        path = self._folder / f"{content['kind'].lower()}-{content['metadata']['name']}.json"
        path.write_text(json.dumps(content))
        return str(path)
