"""Every place of an experiment in which Chaos Toolkit runs code. Pure.

    configuration             entries of type "probe": before anything else, before any control even
    controls                  of the experiment, of its hypothesis, of each activity
    steady-state-hypothesis   probes, and probes as their tolerances
    method, rollbacks         actions and probes, in the background or not, written there or referred to by ``ref``

What stands there is taken apart exactly as chaoslib does it (chaoslib/activity.py, caching.py, configuration.py,
control/__init__.py, hypothesis.py), and what it could not take apart is an error: nothing is passed over in silence.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flametest.chaos.errors import MalformedExperimentError

__all__ = ["Document", "Place", "Step", "activities_of", "controls_of", "dynamic_configuration", "tolerances_of"]

Document = Mapping[str, Any]
HYPOTHESIS_KEY = "steady-state-hypothesis"


class Place(StrEnum):
    """Where something stands; the value is told in messages."""

    METHOD = "the method"
    ROLLBACKS = "the rollbacks"
    HYPOTHESIS = "the hypothesis"
    TOLERANCE = "a tolerance"
    CONFIGURATION = "the configuration"


@dataclass(frozen=True, slots=True)
class Step:
    """An activity, and where it is run.

    Attributes:
        place: where it stands.
        name: by which messages, and ``unguarded``, call it.
        activity: the activity itself; where the experiment refers to another one, that one.
    """

    place: Place
    name: str
    activity: Document

    @property
    def provider(self) -> Document:
        """Return its provider."""
        provider: Document = self.activity["provider"]
        return provider


def activities_of(experiment: Document) -> Iterator[Step]:
    """Yield what the hypothesis, the method and the rollbacks run, in this order.

    Raises:
        MalformedExperimentError: Chaos Toolkit could not run it.
    """
    known = _by_name(experiment)
    for place, activity in _written(experiment):
        reference = activity.get("ref")
        if reference and (not isinstance(reference, str) or reference not in known):
            raise MalformedExperimentError(f"{place} refers to the activity {reference!r}, which does not exist")
        yield _step(place, known[reference] if reference else activity)


def tolerances_of(experiment: Document) -> Iterator[tuple[str, Any]]:
    """Yield each tolerance with the name of its probe; Chaos Toolkit runs one of type "probe" as an activity."""
    for _, activity in _written(experiment):
        if "tolerance" in activity:
            yield str(activity.get("name") or activity.get("ref")), activity["tolerance"]


def tolerance_step(probe: str, tolerance: Any) -> Step | None:
    """Return what a tolerance runs; None for one that only compares."""
    if not isinstance(tolerance, dict) or tolerance.get("type") != "probe":
        return None
    return _step(Place.TOLERANCE, {"name": f"tolerance of {probe}"} | tolerance)


def dynamic_configuration(configuration: Document) -> Iterator[Step]:
    """Yield the probes among the entries of a configuration, written or loaded."""
    for key, value in configuration.items():
        if isinstance(value, dict) and value.get("type") == "probe":
            yield _step(Place.CONFIGURATION, {"name": key} | value)


def controls_of(experiment: Document) -> Iterator[tuple[bool, Document]]:
    """Yield each control, and whether it is one of the experiment as a whole.

    Raises:
        MalformedExperimentError: Chaos Toolkit could not use it.
    """
    for control in _list(experiment, "controls", "the experiment"):
        yield True, control
    hypothesis = _hypothesis(experiment)
    holders = [(str(Place.HYPOTHESIS), hypothesis)]
    holders += [(f"activity {activity.get('name')!r}", activity) for _, activity in _written(experiment)]
    for title, holder in holders:
        for control in _list(holder, "controls", title):
            yield False, control


def _written(experiment: Document) -> Iterator[tuple[Place, Document]]:
    """Yield the activities as they are written, references unresolved."""
    for activity in _list(_hypothesis(experiment), "probes", str(Place.HYPOTHESIS)):
        yield Place.HYPOTHESIS, activity
    for activity in _list(experiment, "method", "the experiment"):
        yield Place.METHOD, activity
    for activity in _list(experiment, "rollbacks", "the experiment"):
        yield Place.ROLLBACKS, activity


def _by_name(experiment: Document) -> dict[Any, Document]:
    """Return what can be referred to; of several of one name the last one, and those of the hypothesis last."""
    activities = [
        *_list(experiment, "method", "the experiment"),
        *_list(_hypothesis(experiment), "probes", str(Place.HYPOTHESIS)),
    ]
    return {activity["name"]: activity for activity in activities if isinstance(activity.get("name"), str)}


def _hypothesis(experiment: Document) -> Document:
    hypothesis = experiment.get(HYPOTHESIS_KEY)
    if hypothesis is None:
        return {}
    if not isinstance(hypothesis, dict):
        raise MalformedExperimentError(f"{HYPOTHESIS_KEY} is {_short(hypothesis)}: expected an object")
    return hypothesis


def _list(holder: Document, key: str, title: str) -> list[Document]:
    found = holder.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise MalformedExperimentError(f"{key} of {title} is {_short(found)}: expected a list of objects")
    return found


def _step(place: Place, activity: Document) -> Step:
    name = activity.get("name")
    if not isinstance(name, str) or not name:
        raise MalformedExperimentError(f"an activity of {place} has no name")
    if not isinstance(activity.get("provider"), dict):
        raise MalformedExperimentError(f"activity {name!r} of {place} has no provider")
    return Step(place, name, activity)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
