"""Every request is in exactly one kind of answer, and a status 500 never hides among them."""

from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.answers import answer_counts, unhandled_errors
from flametest.measure.samples import Samples
from flametest.model.measures import AnswerCount
from flametest.model.samples import Lane, Outcome, Sample

KINDS = st.sampled_from([(200, ""), (503, "status"), (500, "status"), (0, "refused"), (0, "timeout"), (0, "")])


def samples(kinds: list[tuple[int, str]]) -> Samples:
    return Samples.of(
        Sample(Lane.LOAD, "GET /", n, n, n + 1, Outcome.OK if status == 200 else Outcome.FAILED, status, "", error)
        for n, (status, error) in enumerate(kinds)
    )


@given(st.lists(KINDS))
def test_the_kinds_add_up_to_all_requests_and_the_most_frequent_comes_first(kinds: list[tuple[int, str]]) -> None:
    found = answer_counts(samples(kinds))
    assert sum(one.count for one in found) == len(kinds)
    assert [one.count for one in found] == sorted((one.count for one in found), reverse=True)
    assert abs(sum(one.share for one in found) - bool(kinds)) < 1e-9
    assert len({(one.status, one.error) for one in found}) == len(found)
    assert unhandled_errors(samples(kinds)) == sum(one.count for one in found if one.status == 500)


def test_an_answer_goes_by_its_status_and_what_was_none_by_its_error() -> None:
    found = answer_counts(samples([(200, ""), (200, ""), (0, "refused"), (0, "")]))
    assert found == (
        AnswerCount(200, "", 2, 0.5),
        AnswerCount(0, "no answer", 1, 0.25),
        AnswerCount(0, "refused", 1, 0.25),
    )
