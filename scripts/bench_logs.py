"""Measure what reading the pods' logs costs a cluster whose programs run on this machine, in processor time.

    python -m scripts.bench_logs [--cluster KUBECONFIG,CONTEXT,URL] [--programs NAME,...] [--rate 50]

The shipped system has to be deployed on the cluster; without one, a sandbox is started with it, and ended. The same
load is offered with the logs read and without, in turns, and the processor time of the programs is compared.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from flametest.model.paths import SLOW_MS
from flametest.run.deploy import NAMESPACE
from flametest.tracing import LogFollower, LogPlace
from scripts.bench_observer import Felt, offer, sandbox_with_the_system

SANDBOX_PROGRAMS = "flametest.sandbox.cluster"
CLUSTER_PROGRAMS = "kubelet,containerd,kube-apiserver,etcd"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class _Turns:
    """The turns of one kind: processor seconds by program, and how long they took together."""

    spent: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    lines: int = 0

    def __str__(self) -> str:
        told = (f"{name} {spent / self.seconds:.3f}" for name, spent in sorted(self.spent.items()))
        return f"{sum(self.spent.values()) / self.seconds:.3f} of a processor ({', '.join(told)}), {self.lines} lines"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cluster", metavar="KUBECONFIG,CONTEXT,URL", help="one with the shipped system")
    parser.add_argument("--programs", help=f"whose time counts (default {CLUSTER_PROGRAMS}; of a sandbox, its own)")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second (default 50)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each kind (default 2)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a turn (default 30)")
    options = parser.parse_args()
    programs = str(options.programs or (CLUSTER_PROGRAMS if options.cluster else SANDBOX_PROGRAMS)).split(",")
    with ExitStack() as stack:
        kubeconfig, context, url = (
            options.cluster.split(",") if options.cluster else stack.enter_context(sandbox_with_the_system())
        )
        turns = {"without logs": _Turns(), "with logs": _Turns()}
        # In the order ABBA ABBA, so that a machine that gets slower, or faster, favours neither.
        for turn in range(2 * options.rounds):
            is_reading = turn % 4 in (1, 2)
            into = turns["with logs" if is_reading else "without logs"]
            with _logs_read(LogPlace(kubeconfig, context, NAMESPACE), into) if is_reading else nullcontext():
                before = _spent(programs)
                asyncio.run(offer(url, options.rate, options.seconds, Felt()))
                for name, spent in _spent(programs).items():
                    into.spent[name] = into.spent.get(name, 0.0) + spent - before.get(name, 0.0)
            into.seconds += options.seconds
    for name, one in turns.items():
        print(f"{name}: {one}")


@contextmanager
def _logs_read(place: LogPlace, turns: _Turns) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        follower = LogFollower(place, Path(folder), SLOW_MS)
        follower.start()
        with follower:
            yield
            turns.lines += follower.stop().lines


def _spent(programs: Sequence[str]) -> dict[str, float]:
    """Return the processor seconds of all processes that live, by the program whose name their command line has."""
    found: dict[str, float] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            first, *others = (process / "cmdline").read_text(errors="replace").split("\0")
            times = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        for name in programs:
            if Path(first).name == name or name in others:
                found[name] = found.get(name, 0.0) + (int(times[11]) + int(times[12])) / _TICKS
    if missing := set(programs) - set(found):
        sys.exit(f"no process of this machine runs {', '.join(sorted(missing))}: name the cluster's by --programs")
    return found


if __name__ == "__main__":
    main()
