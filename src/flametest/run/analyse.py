"""From what was recorded to a result and its renderings; can be repeated on an old folder at any time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from flametest.measure.compare import compare_runs
from flametest.measure.objectives import Objectives
from flametest.measure.recorded import RecordedSamples
from flametest.measure.scenario import ScenarioSpec, measure_scenario, summarise
from flametest.measure.selftest import believed, self_test_check
from flametest.measure.trials import combine_trials
from flametest.model.events import Noted, RunEnded, RunStarted
from flametest.model.history import History
from flametest.model.limits import LIMITS_FILE, LimitBook, parse_override
from flametest.model.result import SCHEMA_VERSION, FirstAttempt, Result, ScenarioResult, Version
from flametest.report import render_html, render_junit, render_markdown, render_openmetrics
from flametest.run.alone import alone, machine_doubt
from flametest.run.experiment import Experiment, experiment_file, load_experiment, read_limits
from flametest.run.folder import RunFolder, RunInputs, read_result
from flametest.run.project import Project, ProjectError
from flametest.run.repeats import Repeat, repeats
from flametest.run.selftest import SELF_TEST_FILE, read_self_test

__all__ = ["NOTHING_KNOWN", "analyse", "measure_trials", "measured", "render"]

NOTHING_KNOWN: Mapping[str, ScenarioResult] = MappingProxyType({})


def analyse(folder: RunFolder, project: Project, known: Mapping[str, ScenarioResult] = NOTHING_KNOWN) -> Result:
    """Measure and judge every scenario of a run, write result.json and the renderings, and return the result.

    Args:
        folder: of the run.
        project: whose latest run before is compared with.
        known: trials that `measure_trials` has measured, which are not measured again.

    Raises:
        ProjectError: what was recorded cannot be read.
    """
    measured(folder, project, known)
    return render(folder)


def measured(folder: RunFolder, project: Project, known: Mapping[str, ScenarioResult] = NOTHING_KNOWN) -> Result:
    """Measure and judge every scenario of a run, write result.json, and return the result; nothing is rendered.

    The arguments are those of `analyse`.

    Raises:
        ProjectError: what was recorded cannot be read.
    """
    inputs = folder.inputs()
    planned = {name: repeats(name, inputs.trials, inputs.seed) for name in inputs.scenarios}
    for repeat in chain.from_iterable(planned.values()):
        folder.fold(repeat.key)
        if folder.has_scenario(alone(repeat).key):
            folder.fold(alone(repeat).key)
    record = _Record.of(folder, inputs, known)
    scenarios = tuple(_scenario(record, planned[name]) for name in inputs.scenarios)
    result = _compared(_result(record, scenarios, _previous(folder, project)), inputs)
    folder.write_result(result)
    return result


def measure_trials(folder: RunFolder, recorded: Sequence[Repeat]) -> dict[str, ScenarioResult]:
    """Return trials of a run that may not have ended yet, measured and judged, by their keys.

    Raises:
        ProjectError: what was recorded cannot be read.
    """
    record = _Record.of(folder, folder.inputs(), NOTHING_KNOWN)
    return {one.key: _measure(record, one) for one in recorded}


def render(folder: RunFolder) -> Result:
    """Write report.html, junit.xml, summary.md and metrics.prom from result.json, and return the result."""
    result = folder.result()
    folder.write("report.html", render_html(result))
    folder.write("junit.xml", render_junit(result))
    folder.write("summary.md", render_markdown(result))
    folder.write("metrics.prom", render_openmetrics(result))
    return result


@dataclass(frozen=True, slots=True)
class _Record:
    """What was recorded of a run, read once."""

    folder: RunFolder
    inputs: RunInputs
    history: History
    samples: RecordedSamples
    limits: LimitBook
    known: Mapping[str, ScenarioResult]

    @classmethod
    def of(cls, folder: RunFolder, inputs: RunInputs, known: Mapping[str, ScenarioResult]) -> "_Record":
        limits = read_limits(folder.path / LIMITS_FILE)
        return cls(folder, inputs, folder.history(), folder.samples(), limits, known)

    def has_begun(self, repeat: Repeat) -> bool:
        """Return whether the trial was begun, so that it has a record."""
        folder = self.folder
        return folder.has_scenario(repeat.key) and bool(experiment_file(folder.scenario(repeat.key), repeat.scenario))


def _scenario(record: _Record, planned: Sequence[Repeat]) -> ScenarioResult:
    """Return one scenario, all its trials together; those that were not begun are told as missing."""
    begun = [one for one in planned if record.has_begun(one)] or planned[:1]
    attempts = [_last_attempt(record, one) for one in begun]
    measured = [
        (attempt, one.extra_baseline_seconds, _folder(alone(one) if attempt.first_attempt else one))
        for one, attempt in zip(begun, attempts, strict=True)
    ]
    return combine_trials(measured, record.inputs.seed, len(planned))


def _last_attempt(record: _Record, repeat: Repeat) -> ScenarioResult:
    """Return a trial, measured; where it was repeated alone, that repeat, with its first attempt in short."""
    first, again = _measure(record, repeat), alone(repeat)
    if not record.has_begun(again):
        return first
    return replace(
        _measure(record, again), first_attempt=FirstAttempt(machine_doubt(first), first.sentence, _folder(repeat))
    )


def _folder(repeat: Repeat) -> str:
    return f"scenarios/{repeat.key}"


def _measure(record: _Record, repeat: Repeat) -> ScenarioResult:
    known = record.known.get(repeat.key)
    if known is not None:
        return known
    folder, name = record.folder, repeat.scenario
    own = folder.scenario(repeat.key)
    file = experiment_file(own, name)
    experiment = load_experiment(file) if file else _not_begun(name, own)
    journal = own / "journal.json"
    overrides = [parse_override(text) for text in record.inputs.limits]
    spec = ScenarioSpec(
        name=name,
        title=experiment.title,
        description=experiment.description,
        workload=experiment.workload,
        limits=record.limits.of(name, experiment.limits, overrides),
        objectives=Objectives(),
        journal=str(journal.relative_to(folder.path)) if journal.exists() else "",
        unreadable=record.samples.problem(repeat.key),
    )
    history = record.history.scenario(repeat.key)
    writes, kept = folder.writes(repeat.key), folder.kept_logs(repeat.key)
    return measure_scenario(history, record.samples.of(repeat.key), spec, writes, kept)


def _not_begun(name: str, folder: Path) -> Experiment:
    """Return what stands for an experiment that a run did not come to, so that its file was not recorded."""
    return Experiment(name, folder, title="Not begun", description="", workload="", entry_path="/", limits=())


def _compared(result: Result, inputs: RunInputs) -> Result:
    """Return the result with its comparison, when a baseline was given."""
    if not inputs.baseline:
        return result
    baseline = read_result(Path(inputs.baseline) / "result.json")
    return replace(result, comparison=compare_runs(baseline, result, inputs.margin_ratio))


def _result(record: _Record, scenarios: Sequence[ScenarioResult], previous: dict[str, float]) -> Result:
    inputs, history = record.inputs, record.history
    tested = read_self_test(record.folder.path / SELF_TEST_FILE)
    verdict, headline = believed(*summarise(scenarios), tested)
    started, ended = history.of(RunStarted), history.of(RunEnded)
    if not started:
        raise ProjectError("the history has no beginning", "the run recorded nothing; run it again")
    last = ended[-1] if ended else list(history)[-1]
    return Result(
        schema_version=SCHEMA_VERSION,
        run_id=inputs.run_id,
        started_wall_s=started[0].at.wall_s,
        duration_seconds=(last.at.monotonic_ns - started[0].at.monotonic_ns) / 1e9,
        verdict=verdict,
        headline=headline,
        cluster=inputs.cluster,
        cluster_note=inputs.cluster_note,
        namespace=inputs.namespace,
        url=inputs.url,
        suite=inputs.suite,
        seed=inputs.seed,
        command=inputs.command,
        manifests_digest=inputs.manifests_digest,
        versions=tuple(Version(component, version) for component, version in inputs.versions),
        scenarios=tuple(scenarios),
        previous=previous,
        checks=(self_test_check(tested),) if tested is not None else (),
        self_test=tested,
        notes=tuple(note.message for note in history.of(Noted) if not note.scenario),
        parallel=started[0].parallel,
    )


def _previous(folder: RunFolder, project: Project) -> dict[str, float]:
    """Return the figures of the run before, by scenario/criterion; none when there is no such run."""
    latest = (project.reports / "latest").resolve()
    if latest == folder.path or not (latest / "result.json").exists():
        return {}
    try:
        before = read_result(latest / "result.json")
    except ProjectError:  # written by another version: there is nothing to compare with
        return {}
    return {
        f"{scenario.name}/{criterion.name}": criterion.value
        for scenario in before.scenarios
        for criterion in scenario.criteria
        if criterion.value is not None
    }
