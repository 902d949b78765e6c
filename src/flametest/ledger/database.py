"""Where a ledger's database is, and how it is reached: by its URI, or inside the cluster through its Service.

The second needs neither a NodePort nor a password in a file: `flametest.kube.forwarding` leads to the pods that are
ready behind the Service, and user and password are read from the Secret by whoever connects, so that they are in no
file, no environment and no command line. Lives as long as the ``with`` block of whoever reads or writes.
"""

import base64
import os
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self

from flametest.kube import KubeError
from flametest.kube.api import Api, open_api
from flametest.kube.errors import NotFoundError
from flametest.kube.forwarding import ForwardedService, ServicePort
from flametest.kube.resources import ENDPOINT_SLICES, PODS, SECRETS, SERVICES
from flametest.kube.rights import Right, rights
from flametest.ledger.definition import Definition, Sql
from flametest.ledger.store import NotThereError, Reached, ReachedAtOnce
from flametest.load.errors import LoadError

__all__ = ["Database", "database_of", "ledger_rights"]

_PARAMETERS = {"user": "user", "password": "password", "database": "dbname"}  # as libpq calls them


class Database(Reached, Protocol):
    """A database, as far as `psycopg` has to know."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Return what `psycopg.connect` takes."""

    @property
    def problem(self) -> str:
        """Return why the last connection did not get there, as far as more is known than PostgreSQL's client tells."""


def database_of(definition: Definition, environment: Mapping[str, str]) -> Database:
    """Return the database of a ledger that has one.

    Args:
        definition: the ledger.
        environment: names the cluster, by KUBECONFIG, KUBERNETES_CONTEXT and FLAMETEST_NAMESPACE, for a database in it.
    """
    if definition.sql is not None:
        return _InCluster(definition.sql, os.environ | dict(environment))
    assert definition.database is not None
    return _Named(definition.database)


def ledger_rights(definition: Definition) -> tuple[Right, ...]:
    """Return the rights in the cluster that a ledger needs: of its one Service and Secret, and to forward ports."""
    sql = definition.sql
    if sql is None:
        return ()
    return (
        *rights(SERVICES, "get", name=sql.service),
        *rights(ENDPOINT_SLICES, "list"),
        # A WebSocket is a GET; newer API servers ask for the right to create as well.
        *rights(PODS, "create", "get", subresource="portforward"),
        *(rights(SECRETS, "get", name=sql.secret) if sql.secret is not None else ()),
    )


class _Named(ReachedAtOnce):
    """A database that a URI names; libpq takes what that leaves out from the environment, such as PGPASSWORD."""

    problem = ""

    def __init__(self, uri: str) -> None:
        self.parameters: Mapping[str, Any] = {"conninfo": uri}


class _InCluster:
    """A database behind a Service."""

    def __init__(self, sql: Sql, environment: Mapping[str, str]) -> None:
        self._sql = sql
        self._environment = environment
        self._exits = ExitStack()
        self._forward: ForwardedService | None = None
        self._parameters: Mapping[str, Any] = MappingProxyType({})

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Return what `psycopg.connect` takes."""
        return self._parameters

    @property
    def problem(self) -> str:
        """Return why the last connection did not get to a pod; empty when it did."""
        return self._forward.problem if self._forward is not None else ""

    def __enter__(self) -> Self:
        environment, sql = self._environment, self._sql
        namespace = environment.get("FLAMETEST_NAMESPACE", "")
        with ExitStack() as exits:
            try:
                api = exits.enter_context(
                    open_api(environment.get("KUBECONFIG", ""), environment.get("KUBERNETES_CONTEXT", ""))
                )
                credentials = _credentials(api, namespace, sql)
                # So libpq looks for it in a folder that is given as the host.
                name = f".s.PGSQL.{sql.port}"
                target = ServicePort(namespace, sql.service, sql.port)
                self._forward = exits.enter_context(ForwardedService(api, target, name))
            except KubeError as error:
                raise LoadError(f"the database: {error.message}", error.remedy) from error
            except OSError as error:
                raise LoadError(f"the database: no socket can be made to reach it by: {error}") from error
            self._parameters = {"host": str(self._forward.folder), "port": sql.port, **credentials}
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parameters = {}
        self._exits.close()


def _credentials(api: Api, namespace: str, sql: Sql) -> dict[str, str]:
    """Return user, password and database, by the names that libpq gives them.

    Raises:
        NotThereError: the Secret, or a key of it, is not there.
        KubeError: the API is unreachable, or does not let it be read.
    """
    named = {"user": sql.user, "database": sql.database}
    found = {_PARAMETERS[name]: value for name, value in named.items() if value is not None}
    if sql.secret is None:
        return found
    try:
        data = api.get(SECRETS.path(namespace, sql.secret)).get("data") or {}
    except NotFoundError as error:
        raise NotThereError(
            f"there is no Secret {sql.secret} in namespace {namespace}", "correct sql.secret in ledger.toml"
        ) from error
    for name, key in sql.from_secret().items():
        if key not in data:
            raise NotThereError(
                f"Secret {sql.secret} has no key {key!r}, but {', '.join(sorted(data)) or 'none'}",
                "correct sql.keys in ledger.toml",
            )
        found[_PARAMETERS[name]] = base64.b64decode(data[key]).decode()
    return found
