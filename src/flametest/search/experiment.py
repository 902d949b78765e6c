"""A set of faults as an experiment that stock Chaos Toolkit runs: what a trial is, and what a finding is kept as. Pure.

Nothing is in its method but actions of Flametest, and nothing in its hypothesis but the entry and the limits: whether
every pod is back is asked between trials, and says nothing about the promise.
Format: https://chaostoolkit.org/reference/api/experiment/
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flametest.search.calls import ACTIONS
from flametest.search.gate import reach
from flametest.search.letters import Alphabet, Kind, Letter, Trial
from flametest.starter.documents import Call

__all__ = ["Described", "document"]

BASELINE_SECONDS = 1
RECOVERY_SECONDS_MAX = 30
AFTER_SECONDS = 1
_NAME_CHARACTERS_MAX = 40
_CONTROLS, _PROBES = "flametest.chaos.controls", "flametest.chaos.probes"
_ORDER = (Kind.NODE, Kind.GONE, Kind.DEGRADED, Kind.ROLLOUT, Kind.REPLICAS)

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """What an experiment of a set is called, and where it is run.

    Attributes:
        name: names its file and its scenario.
        title, description: what it claims, and how it came about.
        namespace, url: defaults where the environment names none.
        path: what the prober asks for.
        workload: the one whose recovery is measured.
        hold_seconds: how long the faults are held.
        nodes_max: how many nodes may be hit.
    """

    name: str
    title: str
    description: str
    namespace: str
    url: str
    path: str
    workload: str
    hold_seconds: float
    nodes_max: int = 0


def document(alphabet: Alphabet, trial: Trial, told: Described) -> Object:
    """Return the experiment of a trial."""
    letters = alphabet.of(trial.letters)
    return {
        "title": told.title,
        "description": told.description,
        "tags": ["search", *(f"faults-{len(letters)}" for _ in letters[:1])],
        "configuration": {
            "entry_url": {"type": "env", "key": "FLAMETEST_URL", "default": told.url},
            "namespace": {"type": "env", "key": "FLAMETEST_NAMESPACE", "default": told.namespace},
        },
        "controls": [_recorder(letters, told)],
        "steady-state-hypothesis": {"title": "The promise is kept", "probes": [*_probes(told)]},
        "method": [call.activity() for call in _method(alphabet, trial, told)],
        "rollbacks": [],
    }


def _recorder(letters: Sequence[Letter], told: Described) -> Object:
    arguments: Object = {"scenario": told.name, "workload": told.workload}
    if told.path != "/":
        arguments["path"] = told.path
    if letters:
        radius = reach(letters, told.nodes_max)
        arguments["targets_max"] = radius.targets_max
        arguments["pods_share_max"] = radius.pods_share_max
        if radius.nodes_max:
            arguments["nodes_max"] = radius.nodes_max
    return {"name": "recorder", "provider": {"type": "python", "module": _CONTROLS, "arguments": arguments}}


def _probes(told: Described) -> Iterator[Object]:
    entry = {"type": "http", "url": f"${{entry_url}}{told.path}", "timeout": 5}
    yield {"type": "probe", "name": "the-entry-answers", "tolerance": 200, "provider": entry}
    call = Call("every-figure-is-within-its-limit", "within_limits", module=_PROBES)
    yield call.activity("probe") | {"tolerance": {"type": "regex", "target": "verdict", "pattern": "^held$"}}


def _method(alphabet: Alphabet, trial: Trial, told: Described) -> Iterator[Call]:
    yield Call("observe-the-baseline", "observe_baseline", {"seconds": BASELINE_SECONDS})
    doses = sorted(trial.doses, key=lambda one: (_ORDER.index(alphabet.letters[one.letter].kind), one.letter))
    for number, dose in enumerate(doses, 1):
        letter = alphabet.letters[dose.letter]
        arguments = letter.levels[dose.level].arguments
        # By its name a fault is told apart in the record and the report; other extensions have none to give.
        called = {"name": _called(dose.letter, number)} if letter.module == ACTIONS else {}
        yield Call(dose.letter, letter.func, {**arguments, **called}, letter.module)
    if not doses:
        yield Call("inject-nothing", "begin_control")
    yield Call("let-the-faults-last", "observe_fault", {"seconds": told.hold_seconds, "until_missed": True})
    if any(alphabet.letters[one.letter].lasts for one in doses):
        yield Call("heal-the-faults", "heal_faults")
    arguments = {"timeout_seconds": RECOVERY_SECONDS_MAX, "hold_seconds": AFTER_SECONDS, "prolong": False}
    yield Call("wait-for-recovery", "await_recovery", arguments)


def _called(letter: str, number: int) -> str:
    """Return a letter's name as that of a fault: its beginning and a number where it is too long."""
    if len(letter) <= _NAME_CHARACTERS_MAX:
        return letter
    return f"{letter[: _NAME_CHARACTERS_MAX - 2]}-{number}"
