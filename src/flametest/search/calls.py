"""What an injecting action means to a search: what it does to its part, and how it can be made weaker. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flametest.search.letters import Kind, Level

__all__ = ["ACTIONS", "Call", "is_passing", "kind_of", "levels_of", "pods_taken"]

_Arguments = Mapping[str, Any]

ACTIONS = "flametest.chaos.actions"


@dataclass(frozen=True, slots=True)
class Call:
    """An action that injects: its name, its arguments, the workload that it hits, and where it lives."""

    func: str
    arguments: _Arguments
    part: str
    module: str = ACTIONS

    @property
    def signature(self) -> tuple[object, ...]:
        """Return what two faults have in common that are the same but for their strength."""
        effect = frozenset({**self.arguments, **(self.arguments.get("effect") or {})}) & _EFFECTS
        match = frozenset(self.arguments.get("match") or {})
        done = "pods" if self.func in ("terminate_pods", "inject_pod_deletion") else self.func
        return done, self.part, effect, str(self.arguments.get("caller") or ""), match


_KINDS: Mapping[str, Kind] = {
    "inject_bad_rollout": Kind.ROLLOUT,
    "inject_container_crash": Kind.REPLICAS,
    "inject_cpu_hog": Kind.DEGRADED,
    "inject_dependency_outage": Kind.GONE,
    "inject_dns_outage": Kind.GONE,
    "inject_fault_proxy": Kind.DEGRADED,
    "inject_frozen_process": Kind.REPLICAS,
    "inject_full_volume": Kind.DEGRADED,
    "inject_memory_hog": Kind.REPLICAS,
    "inject_network_partition": Kind.GONE,
    "inject_new_version": Kind.ROLLOUT,
    "inject_node_drain": Kind.NODE,
    "inject_node_loss": Kind.NODE,
    "inject_pod_deletion": Kind.REPLICAS,
    "inject_random_errors": Kind.DEGRADED,
    "inject_rolling_restart": Kind.ROLLOUT,
    "inject_scaling": Kind.ROLLOUT,
    "inject_service_removal": Kind.GONE,
    "terminate_pods": Kind.REPLICAS,
}
_PASSING = frozenset(
    {"inject_container_crash", "inject_memory_hog", "inject_pod_deletion", "inject_rolling_restart", "terminate_pods"}
)
_COUNTS = {
    "inject_container_crash": "count",
    "inject_frozen_process": "count",
    "inject_memory_hog": "count",
    "inject_pod_deletion": "count",
    "terminate_pods": "qty",
}
_TOTAL = ("silence", "refuse", "reset")
_EFFECTS = frozenset(
    {"abort_rate", "bytes_per_second", "delay_ms", "error_rate", "latency_ms", "refuse", "reset", "reset_after_bytes"}
    | {"reset_after_ms", "silence", "slice_bytes", "status", "volume"}
)
_SCALES = (1.0, 0.5, 0.25)
_RATES = ("error_rate", "abort_rate")
_TIMES = ("delay_ms", "jitter_ms", "latency_ms", "latency_jitter_ms")


def kind_of(func: str, arguments: _Arguments) -> Kind | None:
    """Return what an action does to the part that it hits; None for one that a search has no use for."""
    if func != "inject_edge":
        return _KINDS.get(func)
    effect = arguments.get("effect") or {}
    is_total = any(effect.get(name) for name in _TOTAL) and not arguments.get("match") and not arguments.get("caller")
    return Kind.GONE if is_total else Kind.DEGRADED


def is_passing(func: str) -> bool:
    """Return whether a fault is over by itself, and needs no healing."""
    return func in _PASSING


def pods_taken(func: str, arguments: _Arguments) -> int:
    """Return how many pods an action takes."""
    return int(arguments.get(_COUNTS[func]) or 1) if func in _COUNTS else 0


def levels_of(func: str, arguments: _Arguments) -> tuple[Level, ...]:
    """Return an action's arguments at each strength, as they are first: fewer pods, shorter delays, fewer errors."""
    if func in _COUNTS:
        key = _COUNTS[func]
        counts = range(pods_taken(func, arguments), 0, -1)
        return tuple(
            Level(_counted(count), {**arguments, key: count} if count > 1 else _one(arguments, key)) for count in counts
        )
    scaled = [_scaled(arguments, scale) for scale in _SCALES]
    distinct = [one for number, one in enumerate(scaled) if one not in scaled[:number]]
    return tuple(Level(", ".join(_words(one)), one) for one in distinct)


def _one(arguments: _Arguments, key: str) -> dict[str, Any]:
    return {**arguments, key: 1} if key in arguments else dict(arguments)


def _counted(count: int) -> str:
    return f"{count} pods" if count > 1 else "1 pod"


def _scaled(arguments: _Arguments, scale: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in arguments.items():
        if isinstance(value, Mapping):
            found[key] = _scaled(value, scale)
        elif key in (*_RATES, *_TIMES) and isinstance(value, int | float):
            found[key] = value if scale == 1 else _rounded(value * scale)
        else:
            found[key] = value
    return found


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _words(arguments: _Arguments) -> Iterator[str]:
    formats: Mapping[str, Callable[[float], str]] = {
        "delay_ms": lambda value: f"{value:g} ms later",
        "latency_ms": lambda value: f"{value:g} ms later",
        "error_rate": lambda value: f"{value:.3g} of requests fail",
        "abort_rate": lambda value: f"{value:.3g} of connections end",
        "share": lambda value: f"{value:.3g} of them",
    }
    for key, value in arguments.items():
        if isinstance(value, Mapping):
            yield from _words(value)
        elif key in formats and isinstance(value, int | float) and value:
            yield formats[key](float(value))
