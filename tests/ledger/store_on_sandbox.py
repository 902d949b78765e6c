"""A PostgreSQL on a sandbox that nothing outside can reach but by its Service, and a ledger that writes to it.

What the ledger says is compared with what the store itself says: `Store.kept` asks it by ``psql`` in its own container.
"""

import csv
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.faults.container_crash import ContainerCrash
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.selection import PodSelection
from flametest.kube import KubeClient
from flametest.kube.execute import execute
from flametest.kube.resources import CONFIG_MAPS, SECRETS, SERVICES, STATEFUL_SETS, Object
from flametest.ledger import Auditor, Ledger, LedgerOptions, read_definition, reader_of
from flametest.measure.durability import WriteRecord, judge_writes
from flametest.measure.ledger import read_attempts, read_looks
from flametest.model.measures import Durability
from tests.patience import PATIENCE_SECONDS

__all__ = ["LEDGER", "NAMESPACE", "PASSWORD", "Keeping", "Store", "keeping"]

NAMESPACE = "default"
PASSWORD = "not-to-be-seen"
TABLE = "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, reference text PRIMARY KEY);"
LEDGER = """
name = "notes"
sql = { service = "SERVICE", user = "clerk", database = "office", secret = "SERVICE" }
write.sql = "INSERT INTO notes (reference) VALUES ({key}) RETURNING id"
write.per_second = 50
read.sql = "SELECT reference AS key, id FROM notes"
read.find = "SELECT 1 FROM notes WHERE reference = {key}"
"""
# Nothing is flushed but by the WAL writer, and by that every ten seconds, so that what a crash takes is plain to see.
LAZY = (
    *("-c", "synchronous_commit=off", "-c", "wal_writer_delay=10s", "-c", "bgwriter_lru_maxpages=0"),
    *("-c", "autovacuum=off"),
)


@dataclass(frozen=True, slots=True)
class Store:
    """A PostgreSQL of that name with one table; its Service has its name, too."""

    client: KubeClient
    name: str

    def deploy(self, *, on_claim: bool, arguments: tuple[str, ...] = ()) -> None:
        """Create it and wait until it is ready; without a claim its volume ends with its pod."""
        labels = {"app": self.name}
        metadata = {"name": self.name, "labels": labels}
        volumes = [{"name": "data", "emptyDir": {}}, {"name": "init", "configMap": {"name": self.name}}]
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
        spec: Object = {
            "serviceName": self.name,
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [self._container(arguments)], "volumes": volumes[on_claim:]},
            },
        }
        if on_claim:
            spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
        self._make(SECRETS, {"metadata": metadata, "stringData": {"password": PASSWORD}})
        self._make(CONFIG_MAPS, {"metadata": metadata, "data": {"table.sql": TABLE}})
        # The Service's port is not the container's, and is known by its name: what is asked for is what users see.
        ports = [{"name": "sql", "port": 5432, "targetPort": "postgres"}]
        self._make(SERVICES, {"metadata": metadata, "spec": {"selector": labels, "ports": ports}})
        self._make(STATEFUL_SETS, {"metadata": metadata, "spec": spec})
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        self.client.wait_ready(NAMESPACE, PATIENCE_SECONDS)

    def query(self, statement: str) -> str:
        """Return what ``psql`` prints in the store's own container."""
        command = ["psql", "-tA", "-v", "ON_ERROR_STOP=1", "-U", "clerk", "-d", "office", "-c", statement]
        done = execute(self.client.api, (NAMESPACE, f"{self.name}-0"), command, timeout_seconds=30)
        assert done.code == 0, done.output
        return done.output.strip()

    def keys(self) -> set[str]:
        """Return the keys of all that it has."""
        return set(self.query("SELECT reference FROM notes").splitlines())

    def kept(self, keys: set[str]) -> int:
        """Return how many of these keys the store has, by its own count."""
        listed = ",".join(f"'{key}'" for key in sorted(keys))
        return int(self.query(f"SELECT count(*) FROM notes WHERE reference = ANY (ARRAY[{listed}]::text[])"))

    def crash_container(self) -> int:
        """Kill its container, whose volume stays, and return when (`time.monotonic_ns`)."""
        # SIGQUIT ends PostgreSQL at once, without a shutdown; SIGKILL does not reach the first process from inside.
        return self._inject(ContainerCrash(self._pods(), signal="QUIT"))

    def kill_pod(self) -> int:
        """Kill its pod by SIGKILL, and return when; a volume without a claim ends with it."""
        return self._inject(PodDeletion(self._pods(), grace_seconds=0))

    def _pods(self) -> PodSelection:
        return PodSelection(NAMESPACE, f"app={self.name}", running=True)

    def _inject(self, fault: ContainerCrash | PodDeletion) -> int:
        targets = fault.targets(self.client)
        state = fault.record(self.client, targets)
        begun_ns = time.monotonic_ns()
        fault.inject(self.client, targets)
        injected_ns = (begun_ns + time.monotonic_ns()) // 2
        assert fault.prove(self.client, targets, state).proved
        return injected_ns

    def _make(self, resource: Any, content: Object) -> None:
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        self.client.api.send("POST", resource.path(NAMESPACE), head | content)

    def _container(self, arguments: tuple[str, ...]) -> Object:
        password = {"secretKeyRef": {"name": self.name, "key": "password"}}
        return {
            "name": "postgres",
            "image": "postgres:16-alpine",
            "args": list(arguments),
            "env": [
                {"name": "POSTGRES_USER", "value": "clerk"},
                {"name": "POSTGRES_DB", "value": "office"},
                {"name": "POSTGRES_PASSWORD", "valueFrom": password},
                {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
            ],
            "ports": [{"name": "postgres", "containerPort": 5432}],
            "readinessProbe": {
                "exec": {"command": ["pg_isready", "--quiet", "--host=127.0.0.1"]},
                "periodSeconds": 1,
            },
            "volumeMounts": [
                {"name": "data", "mountPath": "/var/lib/postgresql/data"},
                {"name": "init", "mountPath": "/docker-entrypoint-initdb.d"},
            ],
        }


class Keeping:
    """A ledger that writes to a store, and what it has noted so far; ``earlier`` writes were there when it began."""

    def __init__(self, ledger: Ledger, auditor: Auditor, folder: Path, earlier: set[str]) -> None:
        self.earlier = earlier
        self._ledger = ledger
        self._auditor = auditor
        self._folder = folder

    def wait_acknowledged(self, more: int) -> None:
        """Return when so many more writes than now were acknowledged."""
        wanted = len(self.acknowledged()) + more
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.acknowledged()) < wanted:
            assert time.monotonic() < deadline, "the ledger did not get so far"
            self._ledger.check()
            time.sleep(0.02)

    def acknowledged(self) -> dict[str, int]:
        """Return when each acknowledged write was acknowledged, by its key; read without Flametest's own reader."""
        file = self._folder / "ledger.csv"
        if not file.exists():
            return {}
        with file.open(newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row["error"] is not None]
        return {row["key"]: int(row["done_ns"]) for row in rows if row["outcome"] == "acknowledged"}

    def stop(self) -> None:
        """End the ledger."""
        self._ledger.stop()

    def judge(self, fault_ns: int) -> Durability:
        """Return what became of the writes, with times from ``fault_ns``."""
        with (self._folder / "ledger.csv").open(newline="") as attempts, (self._folder / "looks.csv").open() as looks:
            record = WriteRecord(read_attempts(attempts), None, read_looks(looks))
        audit = self._auditor.audit(self._ledger.prefix, record.attempts, PATIENCE_SECONDS)
        return judge_writes(WriteRecord(record.attempts, audit, record.looks), self._ledger.prefix, fault_ns)


@contextmanager
def keeping(store: Store, environment: Mapping[str, str], folder: Path) -> Iterator[Keeping]:
    """Keep a ledger of a store while the block runs; ``environment`` names the cluster."""
    file = folder / "ledger.toml"
    file.write_text(LEDGER.replace("SERVICE", store.name))
    definition = read_definition(file)
    assert definition is not None
    auditor = Auditor(definition, reader_of(definition, "", environment))
    earlier = store.keys()
    auditor.begin()
    record = folder / "record"
    record.mkdir()
    with Ledger(LedgerOptions("http://127.0.0.1:1", definition, "7", environment=environment), record) as ledger:
        yield Keeping(ledger, auditor, record, earlier)
