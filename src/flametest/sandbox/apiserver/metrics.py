"""What the cluster process says of itself at ``/metrics``, in the text format of Prometheus.

For people who wonder what a sandbox is busy with or what it holds on to, and for the soak that proves it holds on to
nothing. Names that Kubernetes or the Prometheus client libraries use too mean the same here. Nothing is counted
beforehand: everything is read when it is asked for.
"""

import asyncio
import os
import resource
from collections import Counter
from collections.abc import Mapping

from flametest.sandbox.store import Store

__all__ = ["CONTENT_TYPE", "metrics_text"]

CONTENT_TYPE = "text/plain; version=0.0.4"


def metrics_text(store: Store) -> str:
    """Return all metrics. To be called on the event loop of the cluster process, whose tasks are counted."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    tasks = Counter(_work(task) for task in asyncio.all_tasks())
    families = (
        _family(
            "process_cpu_seconds_total", "counter", "User and system processor time.", used.ru_utime + used.ru_stime
        ),
        _family("process_resident_memory_bytes", "gauge", "Resident memory.", _resident_bytes()),
        _family("process_open_fds", "gauge", "Open file descriptors.", len(os.listdir("/proc/self/fd"))),
        _family("apiserver_storage_objects", "gauge", "Stored objects.", store.counts(), "resource"),
        _family("apiserver_current_resource_version", "gauge", "Version of the last change.", store.version),
        _family(
            "flametest_sandbox_watchers",
            "gauge",
            "Open watches, of clients and of the cluster's own parts.",
            store.watchers,
        ),
        _family("flametest_sandbox_tasks", "gauge", "Tasks of the event loop, by what they run.", tasks, "work"),
    )
    return "".join(families)


def _family(name: str, kind: str, about: str, value: float | Mapping[str, int], label: str = "") -> str:
    """Return the lines of one metric: one value, or one for each value of a label."""
    samples = (
        {f'{{{label}="{key}"}}': value[key] for key in sorted(value)} if isinstance(value, Mapping) else {"": value}
    )
    lines = "".join(f"{name}{labels} {number}\n" for labels, number in samples.items())
    return f"# HELP {name} {about}\n# TYPE {name} {kind}\n{lines}"


def _work(task: "asyncio.Task[object]") -> str:
    """Return the name of a task's function, of which there are few, where tasks' own names tell objects apart."""
    return getattr(task.get_coro(), "__qualname__", "unknown")


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
