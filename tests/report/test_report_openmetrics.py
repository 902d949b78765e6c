"""OpenMetrics: the reference parser reads it, every measured figure is in it, and nothing unmeasured is."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from flametest.model.result import Result
from flametest.report import render_openmetrics
from tests.report.sample_result import (
    failed_result,
    full_result,
    hostile_result,
    inconclusive_result,
    passed_result,
)

RESULTS = {
    "passed": passed_result(),
    "failed": failed_result(),
    "full": full_result(),
    "inconclusive": inconclusive_result(),
}


def samples(result: Result) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample by name and labels, as the reference implementation reads them."""
    families = text_string_to_metric_families(render_openmetrics(result))  # type: ignore[no-untyped-call]
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


@pytest.mark.parametrize("name", RESULTS)
def test_every_measured_criterion_is_a_sample_in_base_units(name: str) -> None:
    found = samples(RESULTS[name])
    names = {"p95_ms": ("flametest_p95_seconds", 1e-3), "availability": ("flametest_availability_ratio", 1.0)}
    for scenario in RESULTS[name].scenarios:
        for one in scenario.criteria:
            fallback = f"flametest_{one.name}{'_ratio' if one.unit == 'ratio' else ''}"
            family, factor = names.get(one.name, (fallback, 1.0))
            value = found.get((family, frozenset({("scenario", scenario.name)})))
            assert value == (None if one.value is None else pytest.approx(one.value * factor))


@pytest.mark.parametrize("name", RESULTS)
def test_exactly_one_verdict_of_the_run_is_set(name: str) -> None:
    result = RESULTS[name]
    states = {
        dict(labels)["flametest_run_verdict"]: value
        for (family, labels), value in samples(result).items()
        if family == "flametest_run_verdict"
    }
    assert states == {one: float(one == result.verdict) for one in ("passed", "failed", "inconclusive")}


def test_what_was_not_measured_has_no_sample() -> None:
    assert not any("pod-delete-nginx" in dict(labels).values() for name, labels in samples(inconclusive_result())
                   if name.endswith("_seconds"))  # fmt: skip


def test_hostile_names_stay_labels() -> None:
    found = samples(hostile_result())
    assert {name for name, _ in found if name.startswith("flametest_run_info")} == {"flametest_run_info"}
    assert all(name.startswith("flametest_") for name, _ in found)


def test_the_text_ends_as_the_format_asks_and_is_always_the_same() -> None:
    text = render_openmetrics(full_result())
    assert text.endswith("\n# EOF\n")
    assert text == render_openmetrics(full_result())
