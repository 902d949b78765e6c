"""Limits from what was measured: never looser, never tighter than what was seen, and told before they are written."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from flametest.cli.main import main
from flametest.measure.scenario import LIMITABLE
from flametest.model import result as model
from flametest.model.limits import bound_of, parse_limits
from flametest.model.trials import Trial, Trials
from flametest.model.verdict import Bound, Criterion, Limit, Verdict
from flametest.starter import Proposal, StarterError, propose_limits, tightened
from tests.report.sample_result import passed_result

DEFAULTS = "# mine\n[default]\noutage_seconds = 3\navailability = 0.99 # a promise\np95_ms = 1000\n"
NAME = "pod-delete-api"


def criterion(
    name: str, value: float | None, uncertainty: float | None = None, above: float | None = None
) -> Criterion:
    return Criterion(name, name, "s", value, uncertainty, None, Verdict.PASSED, "", above)


def run_of(*trials: dict[str, float], name: str = NAME, verdict: Verdict = Verdict.PASSED) -> model.Result:
    """Return a run of one scenario, with these figures in each of its trials."""
    criteria = [tuple(criterion(key, value) for key, value in one.items()) for one in trials]
    several = tuple(Trial(number, verdict, "", 0.0, one, (), "") for number, one in enumerate(criteria, 1))
    repeats = Trials(1, 1, several, (), "") if len(trials) > 1 else None
    scenario = replace(
        passed_result().scenarios[0], name=name, verdict=verdict, criteria=criteria[0], checks=(), trials=repeats
    )
    return replace(passed_result(), scenarios=(scenario,), checks=())


def proposed(run: model.Result, text: str = DEFAULTS, own: frozenset[str] = frozenset()) -> dict[str, float]:
    found = propose_limits(run, parse_limits(text, "limits.toml", LIMITABLE), {NAME: own})
    return {one.criterion: one.after for one in found.proposals}


def test_a_single_trial_leaves_half_as_much_again_and_at_least_what_any_machine_needs() -> None:
    assert proposed(run_of({"outage_seconds": 1.5, "p95_ms": 8.2, "availability": 0.998})) == {
        "outage_seconds": 2.3,
        "p95_ms": 59,
        "availability": 0.997,
    }
    assert proposed(run_of({"outage_seconds": 0.0})) == {"outage_seconds": 0.5}


def test_several_trials_leave_twice_their_range_beyond_the_worst() -> None:
    assert proposed(run_of({"outage_seconds": 1.0}, {"outage_seconds": 1.4})) == {"outage_seconds": 2.2}
    assert proposed(run_of(*[{"outage_seconds": 1.4}] * 5)) == {"outage_seconds": 1.9}


def test_the_bracket_of_a_figure_counts_by_its_far_end() -> None:
    run = run_of({"outage_seconds": 1.0})
    wide = replace(run.scenarios[0], criteria=(criterion("outage_seconds", 1.0, 0.4),))
    assert proposed(replace(run, scenarios=(wide,))) == {"outage_seconds": 2.1}


@pytest.mark.parametrize(
    ("figures", "why"),
    [({"outage_seconds": 2.9}, "it would be looser"), ({"recovery_seconds": 1.0}, "it has no limit")],
)
def test_no_limit_becomes_looser_and_none_is_added(figures: dict[str, float], why: str) -> None:
    assert proposed(run_of(figures)) == {}, why


def test_a_figure_that_had_not_ended_proposes_nothing() -> None:
    run = run_of({"outage_seconds": 1.0})
    open_end = replace(run.scenarios[0], criteria=(criterion("outage_seconds", 1.0, above=1.0),))
    assert proposed(replace(run, scenarios=(open_end,))) == {}


def test_what_the_experiment_limits_itself_is_left_alone() -> None:
    assert proposed(run_of({"outage_seconds": 0.0}), own=frozenset({"outage_seconds"})) == {}


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE])
def test_a_scenario_that_did_not_pass_is_left_out_with_the_reason(verdict: Verdict) -> None:
    book = parse_limits(DEFAULTS, "limits.toml", LIMITABLE)
    found = propose_limits(run_of({"outage_seconds": 0.0}, verdict=verdict), book, {NAME: frozenset()})
    assert (found.proposals, found.left_out) == ((), (f"{NAME}: it did not pass ({verdict})",))


def test_figures_of_a_measurement_that_failed_its_own_checks_propose_nothing() -> None:
    doubt = model.Check("self_test", "The measurement", Verdict.INCONCLUSIVE, "missed its targets")
    run = replace(run_of({"outage_seconds": 0.0}), checks=(doubt,))
    with pytest.raises(StarterError, match="do not count: missed its targets"):
        proposed(run)


FIGURE = st.floats(0, 500, allow_subnormal=False)
RATIO = st.floats(0, 1, allow_subnormal=False)


@given(
    st.sampled_from(sorted(LIMITABLE)).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.lists(RATIO if name == "availability" else FIGURE, min_size=1, max_size=6),
            RATIO if name == "availability" else FIGURE,
        )
    )
)
def test_a_proposal_is_tighter_than_the_limit_and_held_by_every_trial(drawn: tuple[str, list[float], float]) -> None:
    name, values, limit = drawn
    text = f"[default]\n{name} = {limit!r}\n"
    for after in proposed(run_of(*({name: value} for value in values)), text).values():
        assert after != limit
        assert Limit(name, bound_of(name), limit).holds(after)
        assert all(Limit(name, bound_of(name), after).holds(value) for value in values)
        assert after >= 0 or bound_of(name) is Bound.AT_LEAST


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda name: name != "default"
)


@given(st.dictionaries(NAMES, st.floats(0.001, 99), min_size=1, max_size=4), st.sampled_from(["", "\n", "# the end\n"]))
def test_whatever_scenarios_are_called_the_text_stays_toml_and_says_the_proposed(
    after: dict[str, float], end: str
) -> None:
    proposals = [Proposal(name, "outage_seconds", 100, value, 0, 0, 1) for name, value in after.items()]
    text = tightened(DEFAULTS + end, proposals)
    assert text.startswith(DEFAULTS)
    tables = tomllib.loads(text)
    assert tables["default"] == tomllib.loads(DEFAULTS)["default"]
    assert {name: tables[name] for name in after} == {name: {"outage_seconds": value} for name, value in after.items()}


def test_a_table_that_is_there_keeps_its_comments_and_its_other_limits() -> None:
    text = f"{DEFAULTS}\n# deleting\n[{NAME}]\noutage_seconds = 2 # for now\nsteady_seconds = 9\n\n# others\n[other]\n"
    proposal = Proposal(NAME, "outage_seconds", 2, 0.7, 0, 0, 1)
    added = Proposal(NAME, "p95_ms", 1000, 60, 0, 0, 1)
    assert tightened(text, [proposal, added]) == (
        f"{DEFAULTS}\n# deleting\n[{NAME}]\noutage_seconds = 0.7 # for now\nsteady_seconds = 9\np95_ms = 60\n\n"
        "# others\n[other]\n"
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with one experiment, guessed limits, and the report of a run that passed."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "loadtests").mkdir()
    (tmp_path / "loadtests" / "locustfile.py").touch()
    shipped = Path(__file__).parents[2] / "experiments" / f"{NAME}.json"
    (tmp_path / "experiments" / shipped.name).write_text(shipped.read_text())
    (tmp_path / "experiments" / "limits.toml").write_text(DEFAULTS)
    report = tmp_path / "reports" / "latest"
    report.mkdir(parents=True)
    run = run_of({"outage_seconds": 0.0, "p95_ms": 900.0})
    (report / "result.json").write_bytes(TypeAdapter(model.Result).dump_json(run))
    return tmp_path


def tighten(project: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["init", "--tighten", str(project / "reports" / "latest"), *more])


def test_limits_are_shown_as_a_diff_and_nothing_is_written(project: Path) -> None:
    done = tighten(project)
    assert done.exit_code == 0, done.output
    assert f"+[{NAME}]\n+outage_seconds = 0.5\n" in done.output
    assert f"{NAME}: outage_seconds 3 -> 0.5; one trial measured 0\n" in done.output
    assert "nothing was written; --write takes these limits over" in done.output
    assert (project / "experiments" / "limits.toml").read_text() == DEFAULTS


def test_limits_are_written_when_told_with_the_former_file_beside_them(project: Path) -> None:
    done = tighten(project, "--write")
    assert done.exit_code == 0, done.output
    limits = project / "experiments" / "limits.toml"
    assert tomllib.loads(limits.read_text())[NAME] == {"outage_seconds": 0.5}
    assert limits.with_name("limits.toml.~1~").read_text() == DEFAULTS
    again = tighten(project, "--write")
    assert again.exit_code == 0
    assert "nothing to tighten in " in again.output


def test_a_report_that_is_none_is_refused_with_a_remedy(project: Path) -> None:
    done = CliRunner().invoke(main, ["init", "--tighten", str(project)])
    assert done.exit_code == 2
    assert "result.json cannot be read" in done.output
    assert "remedy: name the folder of a finished run" in done.output


def test_a_project_without_limits_is_refused(project: Path) -> None:
    (project / "experiments" / "limits.toml").unlink()
    done = tighten(project)
    assert done.exit_code == 2
    assert "limits.toml" in done.output


def test_write_without_tighten_is_a_usage_error() -> None:
    done = CliRunner().invoke(main, ["init", "--write"])
    assert (done.exit_code, "--write goes with --tighten" in done.output) == (2, True)
