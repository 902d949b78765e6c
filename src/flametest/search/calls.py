"""What an injecting action means to a search: what it does to its part, and how it can be made weaker. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

from flametest.chaos import actions
from flametest.faults.catalogue import FAULTS
from flametest.faults.protocol import Fault
from flametest.search.letters import Kind, Level

__all__ = ["ACTIONS", "Call", "is_passing", "kind_of", "levels_of", "pods_taken", "with_stronger"]

_Arguments = Mapping[str, Any]

ACTIONS = actions.__name__


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
        done = _fault_of(self.func)
        return done, self.part, effect, str(self.arguments.get("caller") or ""), match


_KINDS: Mapping[str, Kind] = {
    "bad_rollout": Kind.ROLLOUT,
    "container_crash": Kind.REPLICAS,
    "cpu_hog": Kind.DEGRADED,
    "dependency_outage": Kind.GONE,
    "dns_outage": Kind.GONE,
    "edge": Kind.DEGRADED,
    "frozen_process": Kind.REPLICAS,
    "full_volume": Kind.DEGRADED,
    "memory_hog": Kind.REPLICAS,
    "network_partition": Kind.GONE,
    "new_version": Kind.ROLLOUT,
    "node_drain": Kind.NODE,
    "node_loss": Kind.NODE,
    "pod_deletion": Kind.REPLICAS,
    "random_errors": Kind.DEGRADED,
    "rolling_restart": Kind.ROLLOUT,
    "scaling": Kind.ROLLOUT,
    "service_removal": Kind.GONE,
}
"""What each fault of `flametest.faults.catalogue` does to its part; an intruder does nothing to any."""
_FAULTS: Mapping[str, type[Fault]] = {fault.name: fault for fault in FAULTS}
_INJECTING = "inject_"
_FOREIGN: Mapping[str, str] = {"inject_fault_proxy": "edge", "terminate_pods": "pod_deletion"}
_COUNTS: Mapping[str, str] = {"terminate_pods": "qty"}
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
        return _KINDS.get(_fault_of(func))
    effect = arguments.get("effect") or {}
    is_total = any(effect.get(name) for name in _TOTAL) and not arguments.get("match") and not arguments.get("caller")
    return Kind.GONE if is_total else Kind.DEGRADED


def is_passing(func: str) -> bool:
    """Return whether a fault is over by itself, and needs no healing."""
    fault = _FAULTS.get(_fault_of(func))
    return fault is not None and not fault.lasts


def pods_taken(func: str, arguments: _Arguments) -> int:
    """Return how many pods an action takes; 0 for one that takes none as such."""
    key = _count_of(func)
    return int(arguments.get(key) or 1) if key and kind_of(func, arguments) is Kind.REPLICAS else 0


def levels_of(func: str, arguments: _Arguments) -> tuple[Level, ...]:
    """Return an action's arguments at each strength, as they are first: fewer pods, shorter delays, fewer errors."""
    if pods := pods_taken(func, arguments):
        key, counts = _count_of(func), range(pods, 0, -1)
        return tuple(
            Level(_counted(count), {**arguments, key: count} if count > 1 else _one(arguments, key)) for count in counts
        )
    scaled = [_scaled(arguments, scale) for scale in _SCALES]
    distinct = [one for number, one in enumerate(scaled) if one not in scaled[:number]]
    return tuple(Level(", ".join(_words(one)), one) for one in distinct)


def with_stronger(levels: tuple[Level, ...], others: tuple[Level, ...]) -> tuple[Level, ...]:
    """Return the strengths of a fault with those of others before it that delay for longer, if there are any.

    Then the strongest of its own is kept alone: what is weaker is not asked for any more.
    """
    longer = tuple(one for one in others if _delay_ms(one.arguments) > _delay_ms(levels[0].arguments))
    return (*longer, levels[0]) if longer else levels


def _delay_ms(arguments: _Arguments) -> float:
    own = (float(arguments[name]) for name in _TIMES if isinstance(arguments.get(name), int | float))
    return max([0.0, *own, *(_delay_ms(one) for one in arguments.values() if isinstance(one, Mapping))])


def _fault_of(func: str) -> str:
    """Return the name of the fault that an action injects; of one that is not known, whatever it is called."""
    return _FOREIGN.get(func) or func.removeprefix(_INJECTING)


def _count_of(func: str) -> str:
    """Return the argument by which an action is told how many pods to take; empty where it has none."""
    action = getattr(actions, func, None)
    return _COUNTS.get(func) or ("count" if action and "count" in signature(action).parameters else "")


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
