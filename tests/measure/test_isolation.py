"""An intruder that got through fails its scenario; one of whom nothing is known leaves it open."""

from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.isolation import isolation_criterion, isolation_figure
from flametest.model.events import ConnectionTried, FaultInjected, Stamp
from flametest.model.history import History
from flametest.model.verdict import Bound, Limit, Verdict

AT = Stamp(1, 1.0)
OUTCOMES = st.sampled_from(["connected", "failed", "unknown"])


def tried(*outcomes: str) -> list[ConnectionTried]:
    return [ConnectionTried(AT, "s", "intruder", f"app-{n}", 80, outcome) for n, outcome in enumerate(outcomes)]


def history(*outcomes: str, fault: str = "intrusion") -> History:
    return History([FaultInjected(AT, "s", fault, 1, 2, ()), *tried(*outcomes)])


@given(st.lists(OUTCOMES, min_size=1))
def test_what_connected_is_counted_and_what_is_unknown_never_counts_as_kept_out(outcomes: list[str]) -> None:
    figure = isolation_figure(tried(*outcomes))
    made = outcomes.count("connected")
    if made:
        assert figure.value == made
    else:
        assert figure.value == (None if "unknown" in outcomes else 0)


def test_a_scenario_without_an_intruder_is_not_judged_by_it() -> None:
    assert isolation_criterion(history(fault="terminate_pods"), ()) is None


def test_kept_out_everywhere_passes_and_says_where() -> None:
    found = isolation_criterion(history("failed", "failed"), ())
    assert found is not None
    assert (found.verdict, found.value) == (Verdict.PASSED, 0)
    assert found.reason == "intruder could not connect to app-0:80, app-1:80"


def test_one_connection_fails_and_names_the_place() -> None:
    found = isolation_criterion(history("failed", "connected"), ())
    assert found is not None
    assert found.verdict is Verdict.FAILED
    assert found.reason == "intruder connected to app-1:80"


def test_an_intruder_who_never_tried_or_could_not_be_asked_is_inconclusive() -> None:
    for record in (history(), history("failed", "unknown")):
        found = isolation_criterion(record, ())
        assert found is not None
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.reason.startswith("not measured: ")


def test_a_limit_of_ones_own_takes_the_place_of_the_promise() -> None:
    found = isolation_criterion(history("connected"), [Limit("connections_admitted", Bound.AT_MOST, 1, "mine")])
    assert found is not None
    assert (found.verdict, found.limit) == (Verdict.PASSED, Limit("connections_admitted", Bound.AT_MOST, 1, "mine"))
