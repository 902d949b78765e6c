"""How long all processors were busy, from what /proc/stat says."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from flametest.load import Prober
from flametest.load.processors import ProcessorMeter


def stat(*, busy: int, idle: int, processors: int = 2) -> str:
    """Return such a file: ticks since the start, all of one processor's in those of a user."""
    rows = "".join(f"cpu{number} {busy // processors} 0 0 {idle // processors}\n" for number in range(processors))
    return f"cpu  {busy} 0 0 {idle} 0 0 0 0 99 99\n{rows}intr 5\n"


def metered(*moments: tuple[int, int]) -> tuple[int, int]:
    """Return what is known after looks at these ticks, busy and idle ones of two processors."""
    files: Iterator[str] = iter(stat(busy=busy, idle=idle) for busy, idle in moments)
    meter = ProcessorMeter(lambda: next(files))
    for _ in moments:
        meter.look()
    return meter.looked_ms, meter.busy_ms


def test_seconds_count_in_which_all_processors_were_busy() -> None:
    assert metered((500, 500)) == (0, 0)
    assert metered((500, 500), (700, 500)) == (1000, 1000)
    assert metered((500, 500), (690, 510)) == (1000, 1000)
    assert metered((500, 500), (689, 511)) == (1000, 0)
    assert metered((500, 500), (600, 600)) == (1000, 0)  # one of the two was busy


def test_looks_within_a_second_add_up() -> None:
    assert metered((0, 0), (100, 0), (150, 0), (200, 0), (250, 0)) == (1000, 1000)
    assert metered((0, 0), (600, 0)) == (3000, 3000)  # it did not run for three seconds


def test_a_machine_that_tells_nothing_is_no_error() -> None:
    def read() -> str:
        raise FileNotFoundError

    meter = ProcessorMeter(read)
    meter.look()
    assert (meter.looked_ms, meter.busy_ms) == (0, 0)


def test_the_prober_tells_how_long_all_processors_were_busy(
    target: Any, tmp_path: Any, wait_until: Callable[..., None]
) -> None:
    """As many loops as processors keep them all busy, but in a container that may not use them all."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        with Prober(target.url, tmp_path) as prober:
            meter = ProcessorMeter()

            def looked() -> bool:
                meter.look()
                return meter.looked_ms >= 3_000

            wait_until(looked)
            summary = prober.stop()
    finally:
        for loop in loops:
            loop.send_signal(signal.SIGKILL)
            loop.wait()
    assert summary.looked_ms >= 1_000
    assert meter.busy_ms / 2 - 1_000 <= summary.busy_ms <= summary.looked_ms
