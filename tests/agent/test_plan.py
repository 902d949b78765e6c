"""What the agent decides to do with the containers of a pod."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.agent.plan import Plan, PodFacts, Step, next_backoff_seconds, plan
from flametest.sandbox.agent.state import ContainerRecord, Hook, Role, Running, State, Stop, Terminated, Waiting

NOW = 1000.0
ALWAYS = PodFacts("Always", 30.0)
NEVER = PodFacts("Never", 30.0)


def container(state: State, role: Role = Role.MAIN, name: str = "main", **fields: Any) -> ContainerRecord:
    return ContainerRecord({"name": name, "image": "x"}, role, state, **fields)


def ended(code: int = 1, at: float = NOW) -> Terminated:
    return Terminated(code, "Error" if code else "Completed", at - 5, at, "id")


def steps(found: Plan) -> list[tuple[Step, str]]:
    return [(action.step, action.name) for action in found.actions]


NEW = Waiting("ContainerCreating")


def test_all_containers_of_a_new_pod_start() -> None:
    found = plan(ALWAYS, [container(NEW, name="a"), container(NEW, name="b")], NOW)
    assert steps(found) == [(Step.START, "a"), (Step.START, "b")]


def test_init_containers_run_one_after_the_other_before_the_rest() -> None:
    first, second, main = container(NEW, Role.INIT, "1"), container(NEW, Role.INIT, "2"), container(NEW)
    assert steps(plan(ALWAYS, [first, second, main], NOW)) == [(Step.START, "1")]
    first.state = ended(0)
    assert steps(plan(ALWAYS, [first, second, main], NOW)) == [(Step.START, "2")]
    second.state = ended(0)
    assert steps(plan(ALWAYS, [first, second, main], NOW)) == [(Step.START, "main")]


def test_a_sidecar_has_to_be_started_before_the_next_container() -> None:
    sidecar, main = container(Running(NOW), Role.SIDECAR, "side"), container(NEW)
    assert steps(plan(ALWAYS, [sidecar, main], NOW)) == []
    sidecar.started = True
    assert steps(plan(ALWAYS, [sidecar, main], NOW)) == [(Step.START, "main")]


def test_a_sidecar_ends_only_after_the_other_containers() -> None:
    sidecar, main = container(Running(NOW), Role.SIDECAR, "side", started=True), container(Running(NOW))
    facts = replace(ALWAYS, terminating=True)
    assert steps(plan(facts, [sidecar, main], NOW)) == [(Step.STOP, "main")]
    main.state = ended(0)
    assert steps(plan(facts, [sidecar, main], NOW)) == [(Step.STOP, "side")]


def test_the_first_restart_is_made_at_once_and_the_second_is_held_back() -> None:
    record = container(ended(at=NOW))
    assert steps(plan(ALWAYS, [record], NOW)) == [(Step.START, "main")]
    record.backoff_at, record.backoff_seconds = NOW, 10.0
    record.state = ended(at=NOW + 1)
    found = plan(ALWAYS, [record], NOW + 1)
    assert steps(found) == [(Step.BACK_OFF, "main")]
    assert found.wake_at == NOW + 11
    record.last, record.state = ended(at=NOW + 1), Waiting("CrashLoopBackOff")
    assert steps(plan(ALWAYS, [record], NOW + 10.9)) == []
    assert steps(plan(ALWAYS, [record], NOW + 11)) == [(Step.START, "main")]


def test_the_hold_doubles_up_to_its_bound_and_is_forgotten_after_a_long_run() -> None:
    record = container(ended())
    held: list[float] = []
    for _ in range(7):
        record.backoff_seconds = next_backoff_seconds(record, NOW, ALWAYS)
        record.backoff_at = NOW
        held.append(record.backoff_seconds)
    assert held == [10, 20, 40, 80, 160, 300, 300]
    assert next_backoff_seconds(record, NOW + 601, ALWAYS) == 10


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_the_restart_policy_decides_whether_an_ended_container_starts_again(
    policy: str, code: int, restarts: bool
) -> None:
    found = plan(PodFacts(policy, 30.0), [container(ended(code))], NOW)
    assert (steps(found) == [(Step.START, "main")]) is restarts
    assert found.finished is not restarts


def test_a_failed_init_container_of_a_pod_that_never_restarts_ends_the_pod() -> None:
    found = plan(NEVER, [container(ended(1), Role.INIT, "init"), container(NEW)], NOW)
    assert found == Plan((), None, finished=True)


def test_a_container_is_asked_after_its_hook_and_killed_at_its_deadline() -> None:
    record = container(Running(NOW), stop=Stop(NOW + 30, Hook.DUE))
    facts = replace(ALWAYS, terminating=True)
    assert steps(plan(facts, [record], NOW)) == [(Step.HOOK, "main")]
    assert record.stop is not None
    record.stop.hook = Hook.RUNS
    assert plan(facts, [record], NOW + 1) == Plan((), NOW + 30)
    record.stop.hook = Hook.DONE
    assert steps(plan(facts, [record], NOW + 3)) == [(Step.ASK, "main")]
    record.stop.asked = True
    assert plan(facts, [record], NOW + 3) == Plan((), NOW + 30)
    assert steps(plan(facts, [record], NOW + 30)) == [(Step.KILL, "main")]
    record.stop.killed = True
    assert plan(facts, [record], NOW + 31) == Plan(())


def test_a_hook_that_outlasts_the_grace_period_does_not_hold_the_signal_back() -> None:
    record = container(Running(NOW), stop=Stop(NOW + 5, Hook.RUNS))
    assert steps(plan(replace(ALWAYS, terminating=True), [record], NOW + 5)) == [(Step.ASK, "main")]


def test_an_unhealthy_container_is_stopped_with_the_grace_of_its_probe() -> None:
    record = container(Running(NOW), unhealthy="failed liveness probe", grace_seconds=3.0)
    found = plan(ALWAYS, [record], NOW)
    assert [(action.step, action.grace_seconds) for action in found.actions] == [(Step.STOP, 3.0)]


def test_a_failed_pull_is_shown_as_held_back_and_tried_again_in_time() -> None:
    record = container(Waiting("ErrImagePull"), retry_at=NOW + 10)
    assert steps(plan(ALWAYS, [record], NOW)) == [(Step.BACK_OFF, "main")]
    record.state = Waiting("ImagePullBackOff")
    assert plan(ALWAYS, [record], NOW) == Plan((), NOW + 10)
    assert steps(plan(ALWAYS, [record], NOW + 10)) == [(Step.START, "main")]


_STATES = st.one_of(
    st.just(NEW),
    st.just(Running(NOW - 10)),
    st.builds(ended, st.sampled_from([0, 1, 137]), st.floats(NOW - 100, NOW)),
)
_RECORDS = st.lists(
    st.builds(container, _STATES, st.sampled_from(Role), st.sampled_from("abc"), started=st.booleans()),
    min_size=1,
    max_size=4,
    unique_by=lambda record: record.name,
)


@given(_RECORDS, st.sampled_from(["Always", "OnFailure", "Never"]))
def test_nothing_starts_in_a_pod_that_terminates(records: list[ContainerRecord], policy: str) -> None:
    found = plan(PodFacts(policy, 30.0, terminating=True), records, NOW)
    assert Step.START not in {action.step for action in found.actions}
    assert found.finished is not any(record.running for record in records)


@given(_RECORDS, st.sampled_from(["Always", "OnFailure", "Never"]), st.booleans())
def test_an_unfinished_pod_always_has_something_to_do_to_wait_for_or_running(
    records: list[ContainerRecord], policy: str, terminating: bool
) -> None:
    found = plan(PodFacts(policy, 30.0, terminating=terminating), records, NOW)
    waits = found.wake_at is not None or any(record.running for record in records)
    assert found.finished or found.actions or waits
