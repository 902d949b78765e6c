"""The probes of one running container instance: a task each, begun when it starts and ended when it ends.

The startup probe comes first and alone; when it has passed, or where there is none, readiness and liveness are asked
as soon as the start counts as noticed, and then every period. The prober changes `started`, `ready` and `unhealthy` of
the container's record and wakes the pod worker, which owns it.
"""

import asyncio
from collections.abc import Callable

from flametest.sandbox.agent.probes import Execute, ProbeKind, ProbeOptions, Schedule, Tally, ask
from flametest.sandbox.agent.state import ContainerRecord

__all__ = ["Prober"]

_WORDS = {"liveness": "failed liveness probe, will be restarted", "startup": "failed startup probe, will be restarted"}


class Prober:
    """Probes one instance of a container."""

    def __init__(
        self,
        record: ContainerRecord,
        address: str,
        execute: Execute,
        *,
        failed: Callable[[str, str], None],
        changed: Callable[[], None],
        terminating: Callable[[], bool],
        notice_seconds: float,
    ) -> None:
        """Prepare; ``failed`` is told each failed attempt, ``changed`` each change of the record."""
        self._record = record
        self._address = address
        self._execute = execute
        self._failed = failed
        self._changed = changed
        self._terminating = terminating
        self._notice_seconds = notice_seconds
        self._began = asyncio.get_running_loop().time()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin with the startup probe, or with the others where there is none."""
        startup = ProbeOptions.of("startup", self._record.spec)
        if startup is None:
            self._set_started()
        else:
            self._begin(startup)

    def stop(self) -> None:
        """End all probes of the instance."""
        for task in self._tasks:
            task.cancel()

    def _set_started(self) -> None:
        self._record.started = True
        kinds: tuple[ProbeKind, ...] = ("readiness", "liveness")
        for kind in kinds:
            options = ProbeOptions.of(kind, self._record.spec)
            if options is not None:
                self._begin(options)
            elif kind == "readiness":
                self._record.ready = True
        self._changed()

    def _begin(self, options: ProbeOptions) -> None:
        name = f"{options.kind} probe of container {self._record.name}"
        self._tasks.append(asyncio.create_task(self._ask_on(options), name=name))

    async def _ask_on(self, options: ProbeOptions) -> None:
        """Ask every period until the probe has nothing more to say."""
        loop = asyncio.get_running_loop()
        schedule = Schedule(options, self._began, self._notice_seconds, loop.time())
        tally = Tally()
        while True:
            await asyncio.sleep(max(schedule.due - loop.time(), 0.0))
            answer = await ask(options, self._record.spec, self._address, self._execute)
            if self._terminating() and options.kind != "readiness":
                return
            if not answer.passed:
                self._failed(options.kind, answer.told)
            if not answer.errored:
                tally = tally.add(answer.passed, options)
                if self._judge(options, tally):
                    return
            schedule.answered(loop.time())

    def _judge(self, options: ProbeOptions, tally: Tally) -> bool:
        """Change the record by a verdict; return whether the probe has done its work."""
        record = self._record
        if options.kind == "readiness":
            if tally.verdict is not None and record.ready != tally.verdict:
                record.ready = tally.verdict
                self._changed()
            return False
        if tally.verdict is False:
            record.unhealthy = f"Container {record.name} {_WORDS[options.kind]}"
            record.grace_seconds = options.grace_seconds
            self._changed()
            return True
        if options.kind == "startup" and tally.verdict:
            self._set_started()
            return True
        return False
