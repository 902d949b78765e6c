"""What a step did is told by its first word: done, failed, or skipped with the reason."""

import io
import threading
from functools import partial

import pytest
from rich.console import Console

from flametest.cli.progress import TerminalProgress
from flametest.run.halting import Halt, side_by_side
from flametest.run.progress import LineProgress, Progress, RememberingProgress


def line_progress(stream: io.StringIO) -> Progress:
    return LineProgress(stream)


def terminal_progress(stream: io.StringIO) -> Progress:
    return TerminalProgress(Console(file=stream, highlight=False, width=100))


@pytest.mark.parametrize("make", [line_progress, terminal_progress])
def test_a_step_that_was_skipped_does_not_end_as_done(make: object) -> None:
    assert callable(make)
    stream = io.StringIO()
    progress: Progress = make(stream)
    with progress.step("resolve every fault's targets") as step:
        step.saw("api 2/3")
        step.skip("the system is not whole")
    with progress.step("analyse") as step:
        step.saw("1 scenario")

    skipped, done = stream.getvalue().splitlines()
    assert skipped.split()[0] in ("skipped", "–")
    assert "resolve every fault's targets" in skipped
    assert skipped.endswith("the system is not whole")
    assert done.split()[0] in ("ok", "✓")


def test_a_step_that_fails_after_it_was_skipped_has_failed() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="gone"), LineProgress(stream).step("resolve") as step:  # noqa: PT012
        step.skip("not whole")
        raise ValueError("gone")
    assert stream.getvalue().startswith("failed")


def test_skipped_steps_are_remembered_for_the_report() -> None:
    stream = io.StringIO()
    progress = RememberingProgress(LineProgress(stream))
    with progress.step("resolve every fault's targets") as step:
        step.skip("the system is not whole")
    with progress.step("analyse") as step:
        step.saw("1 scenario")
    progress.say("healed: scale api")

    assert progress.skipped == ["skipped: resolve every fault's targets: the system is not whole"]
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["skipped", "ok", "healed:"]


def test_steps_of_several_threads_are_shown_at_the_same_time_and_end_as_lines_of_their_own() -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, highlight=False, width=60, force_terminal=True)
    progress, console = TerminalProgress(terminal), Console(width=60)
    both_run = threading.Barrier(2, timeout=60)
    shown: list[str] = []

    def run(name: str) -> None:
        with progress.step(f"experiment {name}") as step:
            step.saw("waits" * 40)
            if both_run.wait() == 0:
                with console.capture() as captured:
                    console.print(progress.rows())
                shown.append(captured.get())
            both_run.wait()
            step.saw("completed")

    side_by_side({name: partial(run, name) for name in ("a", "b")}, Halt())
    rows = shown[0].splitlines()
    assert len(rows) == 2, "a long text does not wrap"
    assert {row.split("experiment ")[1][0] for row in rows} == {"a", "b"}
    ended = [line for line in stream.getvalue().splitlines() if "✓" in line]
    assert len(ended) == 2
