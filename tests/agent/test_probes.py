"""Probes: how answers add up, and how they are asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.agent.probes import Answer, NotExecutedError, ProbeOptions, Schedule, Tally, ask, port_number

CONTAINER: dict[str, Any] = {"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}


def probe(**spec: Any) -> ProbeOptions:
    found = ProbeOptions.of("readiness", {"readinessProbe": spec})
    assert found is not None
    return found


async def no_command(command: list[str]) -> tuple[int, bytes]:
    raise AssertionError(f"nothing should run {command}")


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1], heard


@pytest.mark.parametrize(("status", "passed"), [(200, True), (302, True), (399, True), (404, False), (503, False)])
async def test_http_passes_from_200_up_to_399(status: int, passed: bool) -> None:
    async with server(f"HTTP/1.1 {status} Word\r\nContent-Length: 0\r\n\r\n".encode()) as (port, heard):
        answer = await ask(probe(httpGet={"path": "ready", "port": port}), CONTAINER, "127.0.0.1", no_command)
    assert answer.passed is passed
    assert answer.message == f"HTTP probe failed with statuscode: {status}"
    assert heard[0].startswith(b"GET /ready HTTP/1.1\r\n")
    assert b"User-Agent: kube-probe/" in heard[0]


async def test_headers_of_the_probe_replace_the_usual_ones() -> None:
    async with server(b"HTTP/1.1 200 OK\r\n\r\n") as (port, heard):
        spec = {"port": port, "httpHeaders": [{"name": "Host", "value": "shop"}]}
        await ask(probe(httpGet=spec), CONTAINER, "127.0.0.1", no_command)
    assert heard[0].count(b"Host:") == 1
    assert b"Host: shop\r\n" in heard[0]


async def test_a_closed_port_and_another_protocol_are_failures_with_a_reason() -> None:
    async with server(b"hello\r\n") as (port, _):
        strange = await ask(probe(httpGet={"port": port}), CONTAINER, "127.0.0.1", no_command)
    closed = await ask(probe(httpGet={"port": port}), CONTAINER, "127.0.0.1", no_command)
    assert "malformed HTTP response" in strange.message
    assert "connection refused" in closed.message
    assert not strange.passed
    assert not closed.passed


async def test_tcp_passes_when_the_port_is_open() -> None:
    async with server(b"") as (port, _):
        assert (await ask(probe(tcpSocket={"port": port}), CONTAINER, "127.0.0.1", no_command)).passed
    assert not (await ask(probe(tcpSocket={"port": port}), CONTAINER, "127.0.0.1", no_command)).passed


async def test_a_command_passes_with_code_0_and_fails_when_it_takes_too_long() -> None:
    async def execute(command: list[str]) -> tuple[int, bytes]:
        if command == ["hang"]:
            await asyncio.Event().wait()
        return int(command[0]), b"said"

    assert await ask(probe(exec={"command": ["0"]}), CONTAINER, "", execute) == Answer(True, "said")
    assert await ask(probe(exec={"command": ["1"]}), CONTAINER, "", execute) == Answer(False, "said")
    late = await ask(probe(exec={"command": ["hang"]}, timeoutSeconds=0.01), CONTAINER, "", execute)
    assert late == Answer(False, "command timed out")


async def test_a_command_that_cannot_be_executed_is_no_answer_either_way() -> None:
    async def execute(_: list[str]) -> tuple[int, bytes]:
        raise NotExecutedError("no sh")

    answer = await ask(probe(exec={"command": ["sh"]}), CONTAINER, "", execute)
    assert answer == Answer(False, "no sh", errored=True)
    assert answer.told == "probe errored and resulted in unknown state: no sh"
    assert Answer(False, "said").told == "probe failed: said"


async def test_a_kind_that_the_sandbox_lacks_fails_and_says_so() -> None:
    assert "no grpc probes" in (await ask(probe(grpc={"port": 1}), CONTAINER, "", no_command)).message


def test_ports_are_found_by_name() -> None:
    assert port_number("http", CONTAINER) == 8080
    assert port_number(90, CONTAINER) == 90
    with pytest.raises(ValueError, match="couldn't find port: admin"):
        port_number("admin", CONTAINER)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_the_verdict_changes_only_after_as_many_equal_answers_as_the_threshold(
    answers: list[bool], success: int, failure: int
) -> None:
    options = probe(exec={}, successThreshold=success, failureThreshold=failure)
    tally = Tally()
    for number, answer in enumerate(answers):
        before, tally = tally.verdict, tally.add(answer, options)
        threshold = success if answer else failure
        streak = answers[max(0, number + 1 - threshold) : number + 1]
        if len(streak) == threshold and set(streak) == {answer}:
            assert tally.verdict is answer
        else:
            assert tally.verdict is before


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 40), st.lists(st.integers(0, 90), max_size=8))
def test_a_probe_is_asked_on_ticks_of_its_period_once_the_start_was_noticed(
    delay: int, period: int, notice: int, answers: list[int]
) -> None:
    began = 1000
    options = probe(exec={}, initialDelaySeconds=delay, periodSeconds=period)
    schedule = Schedule(options, began, notice, began)
    assert schedule.due == began + max(delay, notice)
    tick: float = began + delay
    for seconds in answers:
        end = schedule.due + seconds
        schedule.answered(end)
        tick = max(tick + period, end)
        assert schedule.due == tick


def test_only_the_first_attempt_waits_for_the_start_to_be_noticed() -> None:
    schedule = Schedule(probe(exec={}, periodSeconds=1), 50.0, 0.1, 50.0)
    assert schedule.due == pytest.approx(50.1)
    schedule.answered(50.11)
    assert schedule.due == 51.0


def test_a_probe_that_begins_later_is_asked_at_once() -> None:
    assert Schedule(probe(exec={}, periodSeconds=1), 50.0, 0.1, 53.5).due == 53.5
