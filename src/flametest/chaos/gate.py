"""The gate of an experiment: everything in it that Chaos Toolkit would run is known, guarded, or refused. Pure.

    reads only (`reading`)        may stand anywhere
    a fault that is known         only as an action of the method or the rollbacks, where the recorder guards it
    listed in ``unguarded``       may stand anywhere, at the user's own risk
    anything else                 refused, whatever the experiment calls it

Whether a fault's targets lie inside the blast radius is asked of the cluster afterwards, see `preview`.
"""

from collections.abc import Mapping
from typing import Any

from flametest.chaos.errors import MalformedExperimentError, UnsafeExperimentError
from flametest.chaos.guard import refuse_unselective
from flametest.chaos.guarded import guarded_fault, is_fault, refuse_other_cluster
from flametest.chaos.places import (
    Document,
    Place,
    Step,
    activities_of,
    controls_of,
    dynamic_configuration,
    tolerance_step,
    tolerances_of,
)
from flametest.chaos.radius import Limits, read_limits
from flametest.chaos.reading import only_reads
from flametest.chaos.values import Values

__all__ = ["RECORDER_MODULE", "check_experiment", "check_recorder", "is_measured", "unguarded_of"]

RECORDER_MODULE = "flametest.chaos.controls"
_REMEDY = "see Safety in docs/experiments.md; or name it in unguarded of the recorder control, at your own risk"


def is_measured(experiment: Document) -> bool:
    """Return whether an experiment names the recorder anywhere, and so asks for the gate."""
    try:
        return any(_module(control) == RECORDER_MODULE for _, control in controls_of(experiment))
    except MalformedExperimentError:
        return RECORDER_MODULE in repr(experiment)


def check_experiment(experiment: Document, values: Values) -> Limits:
    """Return the blast radius of an experiment if all that it would run may run.

    Args:
        experiment: the experiment.
        values: its configuration and secrets as far as they are known.

    Raises:
        UnsafeExperimentError: something may not run; the message names it and its place.
        MalformedExperimentError: Chaos Toolkit could not run it as it is written.
    """
    limits = check_recorder(experiment, values)
    for step in dynamic_configuration({**_object(experiment, "configuration"), **values.later}):
        _check_reading(step, values, limits.unguarded)
    for probe, tolerance in tolerances_of(experiment):
        _check_tolerance(probe, tolerance, values, limits.unguarded)
    for step in activities_of(experiment):
        if step.name not in limits.unguarded:
            _check_activity(step, values, limits.unguarded)
    return limits


def check_recorder(experiment: Document, values: Values) -> Limits:
    """Return the blast radius that the recorder control gives, if the recorder is in force for the whole experiment.

    Chaos Toolkit lets an activity's own control take the place of one of the experiment's of the same name, and runs
    controls in their order. So there is one recorder, nothing else has its name, and nothing comes beside it that the
    experiment does not vouch for.

    Raises:
        UnsafeExperimentError: it is not in force everywhere, or another control is there.
        MalformedExperimentError: its arguments cannot be understood.
    """
    recorders = [control for _, control in controls_of(experiment) if _module(control) == RECORDER_MODULE]
    if len(recorders) != 1 or recorders[0] not in _object_list(experiment):
        raise UnsafeExperimentError(
            f"the experiment names the recorder control {len(recorders)} times: expected once, in its own controls",
            "keep the one in the controls of the experiment",
        )
    recorder = recorders[0]
    _check_in_force(recorder)
    arguments = values.fill(recorder["provider"].get("arguments") or {})
    try:
        limits = read_limits(arguments)
    except (TypeError, ValueError) as error:
        raise MalformedExperimentError(
            f"the recorder control: {error}", "fix the arguments of the recorder control"
        ) from error
    for _, control in controls_of(experiment):
        if control is not recorder:
            _check_control(control, str(recorder["name"]), limits.unguarded)
    return limits


def unguarded_of(experiment: Document, limits: Limits) -> tuple[str, ...]:
    """Return the names, among those of ``unguarded``, of what an experiment runs without being looked into."""
    steps = [*dynamic_configuration(_object(experiment, "configuration")), *activities_of(experiment)]
    steps += [step for probe, tolerance in tolerances_of(experiment) if (step := tolerance_step(probe, tolerance))]
    names = [step.name for step in steps if not only_reads(step.provider)]
    names += [str(control.get("name")) for _, control in controls_of(experiment)]
    return tuple(name for name in dict.fromkeys(names) if name in limits.unguarded)


def _check_in_force(recorder: Document) -> None:
    wrong = [key for key in ("ref", "scope") if recorder.get(key)]
    wrong += ["automatic"] if not recorder.get("automatic", True) else []
    wrong += ["provider.type"] if recorder["provider"].get("type") != "python" else []
    wrong += ["name"] if not isinstance(recorder.get("name"), str) or not recorder["name"] else []
    if wrong:
        raise UnsafeExperimentError(
            f"by its {' and '.join(wrong)} the recorder control would not be in force for the whole experiment",
            'give it a name and a provider of type "python", and leave out "scope", "automatic" and "ref"',
        )


def _check_control(control: Document, recorder: str, unguarded: frozenset[str]) -> None:
    name = control.get("name")
    if name == recorder or control.get("ref"):
        raise UnsafeExperimentError(
            f"control {name!r} would take the place of the recorder control {recorder!r}",
            "give it a name of its own, without ref",
        )
    if not isinstance(name, str) or name not in unguarded:
        raise UnsafeExperimentError(
            f"control {name!r} runs code of {_module(control)!r}, "
            "and there is no way to know in advance what it would do",
            "remove it; or name it in unguarded of the recorder control, at your own risk",
        )


def _check_tolerance(probe: str, tolerance: Any, values: Values, unguarded: frozenset[str]) -> None:
    if isinstance(tolerance, str):  # Chaos Toolkit fills in only those
        later = values.unknown(tolerance)
        if later:
            raise UnsafeExperimentError(
                f"the tolerance of {probe!r} is known only in the run, by the configuration {later[0]!r}", _REMEDY
            )
        tolerance = values.fill(tolerance)
    step = tolerance_step(probe, tolerance)
    if step is not None:
        _check_reading(step, values, unguarded)


def _check_reading(step: Step, values: Values, unguarded: frozenset[str]) -> None:
    """Refuse what does more than read in a place that no control guards."""
    if step.name in unguarded:
        return
    if is_fault(step.provider):
        raise UnsafeExperimentError(
            f"{step.name!r} injects a fault in {step.place}, where nothing could guard or heal it",
            "move it to the method, as an action",
        )
    filled = _filled(step, values)
    refuse_other_cluster(filled, values)
    guarded_fault(filled | {"type": f"in {step.place}, probe"}, {}, unguarded)


def _check_activity(step: Step, values: Values, unguarded: frozenset[str]) -> None:
    activity = _filled(step, values)
    refuse_other_cluster(activity, values)
    if is_fault(step.provider):
        if step.place is Place.HYPOTHESIS:
            raise UnsafeExperimentError(
                f"{step.name!r} injects a fault in {step.place}, which is run again and again",
                "move it to the method, as an action",
            )
        if activity.get("type") != "action":
            raise UnsafeExperimentError(
                f"{step.name!r} injects a fault and is of type {activity.get('type')!r}", 'write "type": "action"'
            )
    arguments = activity["provider"].get("arguments") or {}
    if not isinstance(arguments, Mapping) and activity["provider"].get("type") == "python":
        raise MalformedExperimentError(f"the arguments of {step.name!r} are {arguments!r}: expected an object")
    if values.unknown(step.provider.get("arguments")):
        # Gated by what it is now, and by what it would hit once that is known.
        if not is_fault(step.provider):
            guarded_fault(activity, {}, unguarded)
        return
    refuse_unselective(step, arguments)
    guarded_fault(activity, arguments, unguarded)


def _filled(step: Step, values: Values) -> dict[str, Any]:
    provider = dict(step.provider)
    for key in ("arguments", "headers"):
        if key in provider:
            provider[key] = values.fill(provider[key])
    return {**step.activity, "provider": provider}


def _module(control: Document) -> str:
    provider = control.get("provider")
    return str(provider.get("module")) if isinstance(provider, dict) else ""


def _object(experiment: Document, key: str) -> Document:
    found = experiment.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MalformedExperimentError(f"{key} is {found!r}: expected an object")
    return found


def _object_list(experiment: Document) -> list[Document]:
    return [control for whole, control in controls_of(experiment) if whole]
