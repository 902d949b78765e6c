"""Stores inside a cluster that lose what they acknowledged: the ledger counts as many as the store itself."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flametest.incluster.rules import rules_of
from flametest.kube import KubeClient, connect
from flametest.kube.resources import Object
from flametest.ledger import Auditor, ledger_rights, read_definition, reader_of
from flametest.load import LoadError
from flametest.model.measures import Durability
from flametest.sandbox.launch import Sandbox, SandboxOptions, find, start
from tests.addresses import own_address
from tests.ledger.store_on_sandbox import LAZY, LEDGER, NAMESPACE, PASSWORD, Keeping, Store, keeping

pytestmark = pytest.mark.sandbox

Lose = Callable[[Store, Keeping], int]
REPEATS = 10


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    options = SandboxOptions(
        "stores", tmp_path_factory.mktemp("home"), node_port_address=own_address("stores"), namespace=NAMESPACE
    )
    try:
        yield start(options)
    finally:
        if (running := find(options)) is not None:
            running.stop()


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[KubeClient]:
    with connect(sandbox.kubeconfig, sandbox.context) as opened:
        yield opened


@pytest.fixture(scope="module")
def environment(sandbox: Sandbox) -> dict[str, str]:
    return {
        "KUBECONFIG": str(sandbox.kubeconfig),
        "KUBERNETES_CONTEXT": sandbox.context,
        "FLAMETEST_NAMESPACE": NAMESPACE,
    }


@pytest.fixture(scope="module")
def lazy(client: KubeClient) -> Store:
    """A store that acknowledges before it has flushed."""
    store = Store(client, "lazy")
    store.deploy(on_claim=True, arguments=LAZY)
    return store


@pytest.fixture(scope="module")
def fleeting(client: KubeClient) -> Store:
    """A store whose volume ends with its pod."""
    store = Store(client, "fleeting")
    store.deploy(on_claim=False)
    return store


def check_lost(store: Store, keeper: Keeping, injected_ns: int) -> Durability:
    """Check the ledger's count of lost writes, and its recovery point, against the store's own count."""
    store.wait_ready()
    keeper.wait_acknowledged(5)  # by the replacement
    keeper.stop()
    acknowledged = keeper.acknowledged()
    found = keeper.judge(injected_ns)
    missing = len(acknowledged) - store.kept(set(acknowledged))
    earlier = len(keeper.earlier) - store.kept(keeper.earlier)
    assert (found.problem, found.acknowledged) == ("", len(acknowledged))
    assert missing > 0
    assert found.lost.count == missing + earlier
    assert found.recovery_point is not None
    assert found.recovery_point.writes == missing
    return found


def crash(store: Store, keeper: Keeping) -> int:
    """Crash the container of a store that has flushed a moment ago; at least its last writes are lost."""
    keeper.wait_acknowledged(20)
    store.query("SELECT pg_reload_conf()")  # which wakes the WAL writer; its next turn is ten seconds later
    keeper.wait_acknowledged(30)
    return store.crash_container()


def kill(store: Store, keeper: Keeping) -> int:
    """Kill the pod of a store that has flushed a moment ago."""
    keeper.wait_acknowledged(20)
    store.query("SELECT pg_reload_conf()")
    keeper.wait_acknowledged(30)
    return store.kill_pod()


def lose_volume(store: Store, keeper: Keeping) -> int:
    """Kill the pod of a store whose volume ends with it."""
    keeper.wait_acknowledged(30)
    return store.kill_pod()


def test_what_a_crash_takes_from_a_lazy_store_is_counted_as_the_store_counts_it(
    lazy: Store, environment: dict[str, str], tmp_path: Path
) -> None:
    with keeping(lazy, environment, tmp_path) as keeper:
        found = check_lost(lazy, keeper, crash(lazy, keeper))
    assert found.lost.count < found.acknowledged
    assert found.recovery_point is not None
    assert 0 < found.recovery_point.seconds < 10 + 5  # a turn of the WAL writer, and what a busy machine adds


def test_a_lost_volume_is_counted_as_the_store_counts_it_and_the_replacement_is_found(
    fleeting: Store, environment: dict[str, str], tmp_path: Path
) -> None:
    with keeping(fleeting, environment, tmp_path) as keeper:
        injected_ns = lose_volume(fleeting, keeper)
        found = check_lost(fleeting, keeper, injected_ns)
    first_ns = min(keeper.acknowledged().values())
    assert found.recovery_point is not None
    assert found.recovery_point.seconds == pytest.approx((injected_ns - first_ns) / 1e9)
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert PASSWORD not in file.read_text()


def test_the_rights_that_a_ledger_names_are_enough_and_the_secret_of_another_is_refused(
    fleeting: Store, sandbox: Sandbox, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "ledger.toml"
    file.write_text(LEDGER.replace("SERVICE", fleeting.name))
    definition = read_definition(file)
    assert definition is not None
    token = account_token(fleeting.client, rules_of(ledger_rights(definition), everywhere=False))
    document = json.loads(sandbox.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    kubeconfig = tmp_path / "least"
    kubeconfig.write_text(json.dumps(document))
    least = environment | {"KUBECONFIG": str(kubeconfig)}
    assert re.fullmatch(r"\d+ notes, 0 counts", Auditor(definition, reader_of(definition, "", least)).begin())
    assert definition.sql is not None
    other = definition.model_copy(update={"sql": definition.sql.model_copy(update={"secret": "another"})})
    with pytest.raises(LoadError, match="403") as raised:
        Auditor(other, reader_of(other, "", least)).begin()
    assert "grant it" in raised.value.remedy


def account_token(client: KubeClient, rules: list[Object]) -> str:
    """Return a token of a new service account that these rules, and no others, are granted."""
    send, rbac = client.api.send, "/apis/rbac.authorization.k8s.io/v1"
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    metadata = {"metadata": {"name": "reader"}}
    send("POST", accounts, metadata)
    send("POST", f"{rbac}/namespaces/{NAMESPACE}/roles", metadata | {"rules": rules})
    subject = {"kind": "ServiceAccount", "namespace": NAMESPACE, "name": "reader"}
    binding: Object = metadata | {"roleRef": {"kind": "Role", "name": "reader"}, "subjects": [subject]}
    send("POST", f"{rbac}/namespaces/{NAMESPACE}/rolebindings", binding)
    return str(send("POST", f"{accounts}/reader/token", {"spec": {}})["status"]["token"])


@pytest.mark.exhaustive
@pytest.mark.parametrize(("kind", "lose"), [("lazy", crash), ("lazy", kill), ("fleeting", lose_volume)] * REPEATS)
def test_lost_writes_are_counted_as_the_store_counts_them_every_time(
    kind: str, lose: Lose, request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> None:
    store: Store = request.getfixturevalue(kind)
    with keeping(store, environment, tmp_path) as keeper:
        check_lost(store, keeper, lose(store, keeper))


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(REPEATS))
def test_the_recovery_point_of_a_store_that_was_restored_is_its_backup(
    number: int, lazy: Store, environment: dict[str, str], tmp_path: Path
) -> None:
    with keeping(lazy, environment, tmp_path) as keeper:
        keeper.wait_acknowledged(20)
        before_ns = time.monotonic_ns()
        lazy.query("DROP TABLE IF EXISTS backup; CREATE TABLE backup AS SELECT * FROM notes")
        after_ns = time.monotonic_ns()
        keeper.wait_acknowledged(30)
        restored_ns = time.monotonic_ns()
        lazy.query(
            "BEGIN; LOCK TABLE notes; TRUNCATE notes; "
            "INSERT INTO notes OVERRIDING SYSTEM VALUE SELECT * FROM backup; COMMIT"
        )
        found = check_lost(lazy, keeper, restored_ns)
    assert found.recovery_point is not None
    point_ns = restored_ns - found.recovery_point.seconds * 1e9
    following_ns = min(done for done in keeper.acknowledged().values() if done > after_ns)
    assert before_ns <= point_ns <= following_ns
