"""The fixture's object: a deployed system that a test loads, breaks and watches."""

import math
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flametest import starter
from flametest.faults.safety import Radius
from flametest.load import LoadError, LoadOptions
from flametest.pytest_plugin.faults import FaultRequest
from flametest.run.felt import Felt, FeltError
from flametest.run.livescenario import Described, FaultOptions, LiveScenario
from flametest.run.session import Session

__all__ = ["Place", "System", "TestDescription"]

RATE_PER_USER = 5.0
_ONE_PATH = Path(starter.__file__).with_name("visitors.py")


@dataclass(frozen=True, slots=True)
class TestDescription:
    """What a test is called: its node id, and its docstring."""

    __test__ = False

    node: str
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """A scenario of a test, and the folder of its record."""

    scenario: LiveScenario
    folder: Path


class System:
    """A system that is deployed, healed and whole; each test has a new one of these."""

    def __init__(self, session: Session, test: TestDescription, folder: Callable[[], Path]) -> None:
        self._session = session
        self._test = test
        self._new_folder = folder
        self.records: list[Place] = []
        """The scenarios of this test, in their order."""

    @property
    def url(self) -> str:
        """Where users enter the system, without a slash at its end."""
        return self._session.access.url

    @property
    def namespace(self) -> str:
        """Where the system lives."""
        return self._session.access.namespace

    @property
    def environment(self) -> dict[str, str]:
        """The environment that points kubectl and other programs at the system, for `subprocess.run(env=...)`."""
        return {**os.environ, **self._session.access.environment(os.environ)}

    def load(
        self, path: str = "", *, rate: float = 50.0, users: int = 0, load_test: Path | str | None = None
    ) -> AbstractContextManager[None]:
        """Offer load while the block runs, which begins when it is at its rate.

        Args:
            path: the only path that is asked for; empty for the project's load test, or for ``/`` where it has none.
            rate: requests a second of all users together.
            users: how many; 0 for one for every five requests a second.
            load_test: a Locust file in place of the project's; it has to heed FLAMETEST_RATE_PER_USER.

        Raises:
            LoadError: it could not be started.
        """
        if not 0 < rate <= 1000 or users < 0:
            raise LoadError(f"rate {rate:g}, users {users}: expected a rate above 0 and at most 1000", "name another")
        if path and not path.startswith("/"):
            raise LoadError(f"path {path!r} does not begin with a slash", "write it as in the URL, such as /shop")
        count = users or max(1, math.ceil(rate / RATE_PER_USER))
        own = self._session.options.project.locustfile
        file = Path(load_test) if load_test else own if not path and own.is_file() else _ONE_PATH
        environment = self._session.access.environment(os.environ)
        options = LoadOptions(count, rate / count, self.url, file, path=path or "/", environment=environment)
        return self._scenario().loaded(options)

    @contextmanager
    def fault(
        self,
        *requests: FaultRequest,
        workload: str = "",
        path: str = "/",
        baseline_seconds: float = 2.0,
        settle_seconds: float | None = None,
        ledger: bool | None = None,
        targets_max: int = 5,
        pods_share_max: float = 0.5,
    ) -> Iterator[Felt]:
        """Watch the system for a baseline, inject faults, and heal them when the block is left, however it is left.

        Args:
            requests: what is injected, in this order; several overlap.
            workload: the workload whose recovery is measured; empty for that of the first fault.
            path: what the prober asks the entry for, unless a load says so.
            baseline_seconds: how long the system is watched before the fault.
            settle_seconds: how long it is watched after a lasting fault was healed; None for as long as it takes to
                tell that it is steady again, without which a test is inconclusive.
            ledger: True asks for a ledger of writes, False for none; None keeps one where ledger.toml defines one.
            targets_max: how many objects may be hit at most.
            pods_share_max: which share of the pods of one workload may be hit at most.

        Raises:
            FlametestError: a fault may not be injected, or nothing can be recorded; nothing was injected then.
            HealError: a fault could not be healed.
        """
        if not requests:
            raise FeltError("system.fault() names no fault", 'name one, such as delete_pods("api"), or no_fault("api")')
        client, namespace = self._session.client, self.namespace
        faults = [request.make(client, namespace) for request in requests]
        nodes = sum(request.nodes for request in requests)
        options = FaultOptions(
            workload=workload or requests[0].workload,
            radius=Radius(frozenset({namespace}), targets_max, pods_share_max, nodes),
            path=path,
            baseline_seconds=baseline_seconds,
            settle_seconds=settle_seconds,
            ledger=ledger,
        )
        names = tuple(request.name for request in requests)
        with self._scenario().faulted(faults, options, names) as felt:
            yield felt

    def check(self) -> None:
        """Return if no report of this test is worse than passed; called when the test has passed.

        Raises:
            InconclusiveError: a record proves nothing.
            AssertionError: a scenario failed by itself, as by a lost write.
        """
        for record in self.records:
            if record.scenario.felt is not None:
                record.scenario.felt.check(AssertionError)

    def _scenario(self) -> LiveScenario:
        """Return the scenario that goes on, or a new one."""
        if self.records and self.records[-1].scenario.is_open:
            return self.records[-1].scenario
        folder = self._new_folder()
        text = " ".join(self._test.text.split())
        described = Described(
            name=folder.name,
            title=text.partition(". ")[0] or self._test.node,
            description=text or f"Recorded by the test {self._test.node}.",
            command=f"pytest {shlex.quote(self._test.node)} --flametest-seed {self._session.seed}",
            seed=self._session.seed,
        )
        scenario = LiveScenario(self._session.ground(), described, folder)
        self.records.append(Place(scenario, folder))
        return scenario
