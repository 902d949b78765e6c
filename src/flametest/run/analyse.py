"""From what was recorded to a result and its renderings; can be repeated on an old folder at any time."""

from collections.abc import Sequence

from flametest.measure.objectives import Objectives
from flametest.measure.samples import read_samples
from flametest.measure.scenario import ScenarioSpec, measure_scenario, summarise
from flametest.model.events import RunEnded, RunStarted
from flametest.model.history import History
from flametest.model.result import SCHEMA_VERSION, Result, ScenarioResult, Version
from flametest.report import render_html, render_junit, render_markdown
from flametest.run.experiment import load_experiment, override_limits, parse_limit
from flametest.run.folder import RunFolder, RunInputs, read_result
from flametest.run.project import Project, ProjectError

__all__ = ["analyse", "render"]


def analyse(folder: RunFolder, project: Project) -> Result:
    """Measure and judge every scenario of a run, write result.json and the renderings, and return the result.

    Raises:
        ProjectError: what was recorded cannot be read.
    """
    inputs = folder.inputs()
    for name in inputs.scenarios:
        folder.fold(name)
    history = folder.history()
    scenarios = tuple(_measure(folder, inputs, history, name) for name in inputs.scenarios)
    result = _result(inputs, history, scenarios, _previous(folder, project))
    folder.write_result(result)
    return render(folder)


def render(folder: RunFolder) -> Result:
    """Write report.html, junit.xml and summary.md from result.json, and return the result."""
    result = folder.result()
    folder.write("report.html", render_html(result))
    folder.write("junit.xml", render_junit(result))
    folder.write("summary.md", render_markdown(result))
    return result


def _measure(folder: RunFolder, inputs: RunInputs, history: History, name: str) -> ScenarioResult:
    own = folder.scenario(name)
    experiment = load_experiment(own / f"{name}.json")
    journal = own / "journal.json"
    spec = ScenarioSpec(
        name=name,
        title=experiment.title,
        description=experiment.description,
        workload=experiment.workload,
        limits=override_limits(experiment, [parse_limit(text) for text in inputs.limits]),
        objectives=Objectives(),
        journal=str(journal.relative_to(folder.path)) if journal.exists() else "",
    )
    return measure_scenario(history.scenario(name), read_samples(folder.samples(name)), spec, folder.writes(name))


def _result(
    inputs: RunInputs, history: History, scenarios: Sequence[ScenarioResult], previous: dict[str, float]
) -> Result:
    verdict, headline = summarise(scenarios)
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
