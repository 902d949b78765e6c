"""A system that is deployed for a session of tests: by default on a sandbox of its own, which ends with the session.

It is deployed once. Before each test it is made clean: what was left behind is healed, and it is waited for until it is
whole; a system that does not get whole by itself is deployed again. When several processes share it, one test has it at
a time.
"""

import fcntl
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flametest.clusters import DEFAULT_NAMESPACE, Access, Cluster, ClusterOptions, provide
from flametest.clusters.loopback import loopback_address
from flametest.clusters.protocol import DEFAULT_SANDBOX
from flametest.faults.healing import heal_all
from flametest.faults.owner import ProcessName, own_name
from flametest.faults.undo import UndoJournal
from flametest.kube import KubeClient, KubeError, connect
from flametest.model.errors import FlametestError
from flametest.model.homes import config_home, state_home
from flametest.model.selftest import SelfTest
from flametest.run.deploy import DeployOptions, deploy, deployed
from flametest.run.lasting import refuse_unhealed
from flametest.run.leftovers import heal_leftovers, refuse_other_runs
from flametest.run.livescenario import Ground
from flametest.run.progress import Progress
from flametest.run.project import Project
from flametest.run.reaper import Reaper
from flametest.run.restarted import replace_restarted, restarts_of
from flametest.run.selftest import short_self_test
from flametest.run.systems import recall

__all__ = ["SANDBOX", "Session", "SessionOptions", "end_sandbox"]

SANDBOX = "sandbox"
WHOLE_SECONDS = 20.0  # a fault's aftermath is over by then, or the system does not heal by itself


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What a session is given.

    Attributes:
        name: tells it from others; names its sandbox.
        cluster: name of the provider, as ``--cluster`` takes it.
        project: the manifests, experiments and limits.
        deploying: whether the manifests are deployed; else the system is there already, and is left as it is.
        namespace: where it lives; empty for that of its manifests.
        url: its entry; empty to have it found.
        seed: of every random choice; None to draw one.
        owner: the process whose end ends the sandbox, where others share it; None for this process, which has it alone.
    """

    name: str
    cluster: str
    project: Project
    deploying: bool = True
    namespace: str = ""
    url: str = ""
    seed: int | None = None
    owner: ProcessName | None = None

    @property
    def sandbox(self) -> str:
        """Return the name of the session's sandbox; the user's own where nothing is deployed."""
        return f"session-{self.name}" if self.deploying else DEFAULT_SANDBOX

    @property
    def lock(self) -> Path:
        """Return the file by which processes that share the system take turns."""
        return state_home(os.environ) / f"session-{self.name}.lock"


class Session:
    """The system of a session; `start` it once, and `close` it on every way out."""

    def __init__(self, options: SessionOptions, progress: Progress) -> None:
        self.options = options
        self.seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
        self.cluster: Cluster = provide(options.cluster, _cluster_options(options))
        self.progress = progress
        self._exits = ExitStack()
        self._access: Access | None = None
        self._client: KubeClient | None = None
        self._failure: FlametestError | None = None
        self._restarts: dict[str, int] = {}

    @property
    def access(self) -> Access:
        """Return how the system is reached, once it was started."""
        assert self._access is not None
        return self._access

    @property
    def client(self) -> KubeClient:
        """Return the cluster, once the system was started."""
        assert self._client is not None
        return self._client

    @property
    def has_started(self) -> bool:
        """Return whether the system is deployed."""
        return self._client is not None

    def start(self) -> None:
        """Deploy the system, and return when every pod is ready and the entry answers.

        Raises:
            FlametestError: it does not come up; nothing is left running, and it is not tried again.
        """
        if self._failure is not None:
            raise self._failure
        try:
            self._start()
        except BaseException as error:
            self._exits.close()
            self._failure = error if isinstance(error, FlametestError) else None
            raise

    def _start(self) -> None:
        options, shared = self.options, self.options.owner is not None
        reading = options.project.read() if options.deploying else None
        if options.cluster == SANDBOX and options.deploying:
            reaper = Reaper([options.sandbox], options.owner or own_name())
            self._exits.callback(reaper.leave if shared else reaper.stop)
        wanted = DeployOptions(url=options.url)
        self._access = self._exits.enter_context(
            deployed(self.cluster, reading, self.progress, keep=shared, options=wanted)
        )
        self._client = self._exits.enter_context(connect(self._access.kubeconfig, self._access.context))
        self._restarts = restarts_of(self._client, self._access.namespace)

    def close(self) -> None:
        """End what `start` has started; a second call does nothing."""
        self._client = None
        self._exits.close()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have the system alone while the block runs, where processes share it."""
        if self.options.owner is None:
            yield
            return
        self.options.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.options.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def clean(self) -> None:
        """Heal what was left behind, and return when the system is whole, with pods that were not restarted.

        Raises:
            HealError: something could not be healed.
            NotReadyError: it does not get whole.
            FlametestError: another run's fault lasts there, or the cluster does not answer.
        """
        home = state_home(os.environ)
        journal = UndoJournal(home)
        own = [one for one in journal.records()[0] if one.owner.process == own_name()]  # of a test before
        refuse_unhealed([*heal_all(journal, own), *heal_leftovers(home, [self.cluster]).unhealed])
        refuse_other_runs(home, self.client, self.access)
        if self.options.deploying:
            replace_restarted(self.client, self.access.namespace, self._restarts)
        try:
            self.client.wait_ready(self.access.namespace, timeout_seconds=WHOLE_SECONDS)
        except KubeError:
            if not self.options.deploying:
                raise
            deploy(self.cluster, self.options.project.read(), self.progress, DeployOptions(url=self.options.url))
        self._restarts = restarts_of(self.client, self.access.namespace)

    @cached_property
    def self_test(self) -> SelfTest:
        """Return what the self-test of the measurement finds on this machine; run once, when it is first asked for."""
        with self.progress.step("test the measurement itself") as step:
            found = short_self_test(self.seed, step.saw)
            step.saw(found.sentence)
        return found

    def ground(self) -> Ground:
        """Return what scenarios of this session share."""
        return Ground(
            cluster=self.cluster.name,
            cluster_note=self.cluster.note,
            access=self.access,
            client=self.client,
            project=self.options.project,
            home=state_home(os.environ),
            self_test=self.self_test,
        )


def end_sandbox(options: SessionOptions) -> None:
    """End the sandbox that the processes of a session have shared; one that was there before stays."""
    if options.deploying and options.cluster == SANDBOX:
        provide(SANDBOX, _cluster_options(options)).down()
    options.lock.unlink(missing_ok=True)


def _cluster_options(options: SessionOptions) -> ClusterOptions:
    project, namespace, url = options.project, options.namespace, options.url.rstrip("/")
    if options.deploying:
        namespace = namespace or project.read().namespace(DEFAULT_NAMESPACE)
    elif not namespace and (known := recall(state_home(os.environ), options.cluster)) is not None:
        namespace, url = known.namespace, url or known.url
    return ClusterOptions(
        images_file=project.images_file,
        node_port_address=loopback_address(options.name) if options.deploying else "127.0.0.1",
        namespace=namespace or DEFAULT_NAMESPACE,
        url=url,
        kubeconfig=os.environ.get("KUBECONFIG", ""),
        allow_list=config_home(os.environ) / "allowed-contexts.toml",
        state=state_home(os.environ),
        sandbox=options.sandbox,
    )
