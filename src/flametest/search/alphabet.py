"""The alphabet of a system: faults that its experiments name, those that `init` would write, and slow edges. Pure.

A fault that an experiment of the folder names goes before one of the same kind on the same part that would be made up:
its author knows how strong it has to be. Where the system bears that, it may not bear more: a delay that would be made
up stronger comes before it as another strength of the same fault.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from flametest.chaos.errors import MalformedExperimentError
from flametest.chaos.guarded import is_fault
from flametest.chaos.places import Place, activities_of
from flametest.chaos.radius import read_limits
from flametest.run.experiment import SUFFIXES, ExperimentError, read_document, recorder_arguments
from flametest.search.calls import ACTIONS, Call, is_passing, kind_of, levels_of, pods_taken, with_stronger
from flametest.search.errors import SearchError
from flametest.search.letters import Alphabet, Kind, Letter
from flametest.search.structure import Structure
from flametest.search.terrain import part_of_call
from flametest.starter import Plan, Topology

__all__ = ["Written", "alphabet_of", "chosen", "read_folder", "written_paths"]

_SLOW_MS = 1000
_VARIABLE = re.compile(r"\$\{(?!(?:namespace|entry_url)\})")
_DRAIN_SECONDS = 20
_NODE_TARGETS_MAX = 30  # a node and the pods on it, all of which a drain moves


@dataclass(frozen=True, slots=True)
class Written:
    """The one fault of an experiment file.

    Attributes:
        name: the file's stem.
        title: the experiment's title.
        provider: of the action that injects.
        recorder: the arguments of the recorder control.
        trouble: why it cannot be a letter; empty when it can.
    """

    name: str
    title: str
    provider: Mapping[str, Any]
    recorder: Mapping[str, Any]
    trouble: str = ""


def read_folder(folder: Path) -> tuple[Written, ...]:
    """Return the faults of the experiments in a folder, one an experiment; those without one are left out.

    Raises:
        ExperimentError: a file cannot be read.
    """
    files = sorted(one for one in folder.glob("*") if one.suffix in SUFFIXES) if folder.is_dir() else []
    return tuple(found for file in files if (found := _written(file)) is not None)


def written_paths(written: Iterable[Written]) -> tuple[str, ...]:
    """Return what the recorders of experiments ask the entry for, each once."""
    return tuple(dict.fromkeys(str(one.recorder["path"]) for one in written if one.recorder.get("path")))


def alphabet_of(
    topology: Topology, plan: Plan, written: Iterable[Written], structure: Structure, nodes_max: int
) -> Alphabet:
    """Return the faults that a search combines.

    Args:
        topology, structure: the system.
        plan: what `init` would test it by.
        written: what the folder of experiments has.
        nodes_max: how many nodes may be hit; without any, faults of nodes are left out.
    """
    left_out: list[str] = []
    letters: dict[str, Letter] = {}
    known: dict[tuple[object, ...], str] = {}
    for same, letter, reason in (
        *_of_folder(topology, written),
        *_of_plan(topology, plan),
        *_of_edges(topology, structure),
        *_of_nodes(structure, nodes_max),
    ):
        if unfit := reason or _unfit(letter, structure, nodes_max):
            left_out.append(f"{letter.name}: {unfit}")
        elif same in known:
            named = letters[known[same]]
            letters[named.name] = replace(named, levels=with_stronger(named.levels, letter.levels))
        elif letter.name not in letters:
            letters[letter.name] = letter
            known[same] = letter.name
    return Alphabet(letters, tuple(left_out))


def chosen(alphabet: Alphabet, patterns: Iterable[str]) -> Alphabet:
    """Return the letters whose names fit one of some patterns, all of them where there is none.

    Raises:
        SearchError: nothing fits a pattern.
    """
    wanted = tuple(patterns)
    if not wanted:
        return alphabet
    names = alphabet.letters
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SearchError(f"no fault is called {pattern!r}", f"use one of: {', '.join(sorted(names))}")
    kept = {name: one for name, one in names.items() if any(fnmatchcase(name, pattern) for pattern in wanted)}
    return Alphabet(kept, alphabet.left_out)


_Found = tuple[tuple[object, ...], Letter, str]


def _unfit(letter: Letter, structure: Structure, nodes_max: int) -> str:
    if letter.kind is Kind.NODE and nodes_max < 1:
        return "no node may be hit here; --nodes 1 allows it"
    if letter.part and not structure.path_of((letter.part,)):
        return f"no path that users ask for is seen to need {letter.part}"
    return ""


def _written(file: Path) -> Written | None:
    document = read_document(file)
    title = str(document.get("title") or file.stem)
    try:
        recorder = recorder_arguments(file, document)
        steps = [one for one in activities_of(document) if one.place is Place.METHOD and is_fault(one.provider)]
    except (ExperimentError, MalformedExperimentError) as error:
        return Written(file.stem, title, {}, {}, error.message)
    if not steps or steps[0].provider.get("func") == "inject_intrusion":
        return None
    provider = steps[0].provider
    if len(steps) > 1:
        return Written(file.stem, title, provider, recorder, "it injects several faults")
    if _VARIABLE.search(json.dumps(provider)):
        return Written(file.stem, title, provider, recorder, "its arguments come from its own configuration")
    return Written(file.stem, title, provider, recorder)


def _of_folder(topology: Topology, written: Iterable[Written]) -> Iterator[_Found]:
    for one in written:
        func, arguments = str(one.provider.get("func", "")), dict(one.provider.get("arguments") or {})
        module = str(one.provider.get("module", ACTIONS))
        part = part_of_call(topology, module, arguments)
        kind = kind_of(func, arguments) if part is not None else None
        call = Call(func, arguments, part.name if part is not None else "", module)
        radius = read_limits(one.recorder)
        letter = replace(
            _letter(one.name, one.title, call, kind or Kind.DEGRADED),
            targets_max=radius.targets_max,
            pods_share_max=radius.pods_share_max,
            source=f"{one.name}.json",
        )
        letter = letter if part is None else _as_allowed(letter, part.replicas)
        yield (
            call.signature,
            letter,
            one.trouble or ("" if kind else "the search cannot tell what it does, or to which part"),
        )


def _as_allowed(letter: Letter, replicas: int) -> Letter:
    """Return a letter that may take the only pod of its part, as `init` lets it, and of several no more than it states.

    How many pods are there is a matter of the system that is searched, which may differ from its author's.
    """
    if not letter.pods:
        return letter
    share = 1.0 if replicas == 1 else letter.pods_share_max
    taken = ((one, pods_taken(letter.func, one.arguments)) for one in letter.levels)
    allowed = [(one, pods) for one, pods in taken if pods <= share * replicas]
    if not allowed:
        return letter
    return replace(letter, pods_share_max=share, levels=tuple(one for one, _ in allowed), pods=allowed[0][1])


def _of_plan(topology: Topology, plan: Plan) -> Iterator[_Found]:
    entry = topology.entry.name if topology.entry is not None else ""
    for one in plan.experiments:
        fault = one.fault
        kind = kind_of(fault.func, fault.arguments) if fault is not None else None
        if fault is None or kind is None:
            continue
        call = Call(fault.func, fault.arguments, one.workload, fault.module)
        letter = _letter(one.name, one.title, call, kind)
        is_entry = fault.func == "inject_service_removal" and fault.arguments.get("service") == entry
        share = letter.pods_share_max if one.pods_share_max is None else one.pods_share_max
        yield call.signature, replace(letter, pods_share_max=share), "it is the only way in" if is_entry else ""


def _of_edges(topology: Topology, structure: Structure) -> Iterator[_Found]:
    """Yield a delay of all, and of some, that is asked of each Service which another part names."""
    for service in topology.system.services:
        part = next((one for one in topology.behind[service.name] if one.name in structure.parts), None)
        is_proxied = not service.is_headless and service.ports and all(one.protocol == "TCP" for one in service.ports)
        if part is None or not is_proxied or not topology.users_of(service.name):
            continue
        slow = {"service": service.name, "effect": {"delay_ms": _SLOW_MS}}
        title = f"what {service.name} answers comes {_SLOW_MS} ms later"
        yield _made(f"edge-slow-{service.name}", title, Call("inject_edge", slow, part.name), Kind.DEGRADED)
        if part.replicas > 1:
            some = slow | {"match": {"share": round(1 / part.replicas, 3)}}
            title = f"one in {part.replicas} connections to {service.name} is {_SLOW_MS} ms late, as by one slow pod"
            yield _made(f"edge-slow-one-{service.name}", title, Call("inject_edge", some, part.name), Kind.DEGRADED)


def _of_nodes(structure: Structure, nodes_max: int) -> Iterator[_Found]:
    for part in structure.parts.values() if nodes_max else ():
        title = f"a node that carries a pod of {part.name} is drained"
        call = Call("inject_node_drain", {"app": part.name, "timeout_seconds": _DRAIN_SECONDS}, part.name)
        same, letter, reason = _made(f"drain-node-of-{part.name}", title, call, Kind.NODE)
        yield same, replace(letter, targets_max=_NODE_TARGETS_MAX, pods_share_max=1.0), reason


def _made(name: str, title: str, call: Call, kind: Kind) -> _Found:
    return call.signature, _letter(name, title, call, kind), ""


def _letter(name: str, title: str, call: Call, kind: Kind) -> Letter:
    pods = pods_taken(call.func, call.arguments)
    return Letter(
        name=name,
        title=title,
        kind=kind,
        part=call.part,
        levels=levels_of(call.func, call.arguments),
        func=call.func,
        module=call.module,
        lasts=not is_passing(call.func),
        targets=max(1, pods),
        pods=pods,
        nodes=1 if kind is Kind.NODE else 0,
        source="needs graph",
    )
