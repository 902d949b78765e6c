"""What options and ini files say, what xdist's workers are told, and the one session of this process.

The controller of xdist deploys nothing: each worker has a system of its own, unless ``--flametest-shared`` asks for
one that all use in turns.
"""

import io
import os
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flametest.run.session import Session, SessionOptions

__all__ = ["Settings", "add_options", "close_session", "free_folder", "read_settings", "session_of", "tell_worker"]

SANDBOX = "sandbox"
_INPUT = "flametest"


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process of a session goes by.

    Attributes:
        session: names the session; the same in all its processes.
        worker: names this process among xdist's workers; empty without.
        owner: the controller as a process, by `flametest.faults.owner.ProcessName`; empty without xdist.
        reports: the folder in which each record has one.
    """

    session: str
    worker: str
    owner: str
    reports: Path


_SETTINGS = pytest.StashKey[Settings]()
_SESSION: "pytest.StashKey[Session]" = pytest.StashKey()


def add_options(parser: pytest.Parser) -> None:
    """Declare options and ini settings."""
    group = parser.getgroup("flametest", "resilience tests (Flametest)")
    group.addoption("--flametest", action="store_true", help="Run experiment files (*.json, *.yaml) as tests.")
    group.addoption(
        "--flametest-cluster",
        metavar="NAME",
        help="Where the fixture `system` is deployed: sandbox, minikube or context:NAME [ini, else sandbox].",
    )
    group.addoption(
        "--flametest-reports", metavar="DIR", help="Where each test's report gets a folder [reports/DATE-TIME]."
    )
    group.addoption(
        "--flametest-shared", action="store_true", help="Let all workers of pytest-xdist use one system, in turns."
    )
    group.addoption("--flametest-seed", type=int, metavar="N", help="What all random choices start from [drawn].")
    parser.addini("flametest_cluster", "where the fixture `system` is deployed", default=SANDBOX)
    parser.addini("flametest_manifests", "files or folders to deploy, else manifests/", type="paths", default=[])
    parser.addini("flametest_namespace", "where the system lives, else as its manifests say", default="")
    parser.addini("flametest_url", "where users enter the system, else found", default="")
    parser.addini("flametest_deploy", "deploy the manifests; else test what runs there", type="bool", default=True)


def read_settings(config: pytest.Config) -> Settings:
    """Return what this process goes by."""
    if _SETTINGS not in config.stash:
        config.stash[_SETTINGS] = _of_worker(config) or _of_controller(config)
    return config.stash[_SETTINGS]


def _of_controller(config: pytest.Config) -> Settings:
    named = config.getoption("flametest_reports")
    folder = Path(named) if named else config.rootpath / "reports" / time.strftime("%Y-%m-%dT%H-%M-%S")
    return Settings(os.urandom(4).hex(), "", "", folder.absolute())


def _of_worker(config: pytest.Config) -> Settings | None:
    told: dict[str, str] | None = getattr(config, "workerinput", {}).get(_INPUT)
    if told is None:
        return None
    return Settings(told["session"], config.workerinput["workerid"], told["owner"], Path(told["reports"]))  # type: ignore[attr-defined]


def free_folder(config: pytest.Config, name: str) -> Path:
    """Return a folder for a report that does not exist yet: a test may be repeated, and names recur elsewhere."""
    reports = read_settings(config).reports
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(folder for one in names if not (folder := reports / one).exists())


def tell_worker(node: Any) -> None:
    """Tell a worker of xdist what the controller goes by."""
    from flametest.faults.owner import own_name  # noqa: PLC0415

    settings = read_settings(node.config)
    node.workerinput[_INPUT] = {
        "session": settings.session,
        "owner": str(own_name()),
        "reports": str(settings.reports),
    }


def session_of(config: pytest.Config) -> "Session":
    """Return this process' session, whose system may not be deployed yet.

    Raises:
        FlametestError: options or files of the project are at fault.
    """
    if _SESSION not in config.stash:
        from flametest.run.progress import LineProgress  # noqa: PLC0415
        from flametest.run.session import Session  # noqa: PLC0415

        config.stash[_SESSION] = Session(_session_options(config), LineProgress(_Captured()))
    return config.stash[_SESSION]


def close_session(config: pytest.Config) -> None:
    """End the system of this process, and on the controller of xdist that which its workers have shared."""
    if _SESSION in config.stash:
        with redirect_stdout(io.StringIO()):  # nothing captures it any more
            config.stash[_SESSION].close()
        del config.stash[_SESSION]
    elif _is_shared(config) and not hasattr(config, "workerinput"):
        from flametest.run.session import end_sandbox  # noqa: PLC0415

        end_sandbox(_session_options(config))


def _is_shared(config: pytest.Config) -> bool:
    return bool(config.getoption("flametest_shared")) and bool(config.getoption("numprocesses", None))


def _cluster(config: pytest.Config) -> str:
    return str(config.getoption("flametest_cluster") or config.getini("flametest_cluster"))


def _session_options(config: pytest.Config) -> "SessionOptions":
    from flametest.faults.owner import ProcessName  # noqa: PLC0415
    from flametest.model.errors import FlametestError  # noqa: PLC0415
    from flametest.run.session import SessionOptions  # noqa: PLC0415

    settings, cluster = read_settings(config), _cluster(config)
    shared = bool(config.getoption("flametest_shared"))
    deploying = bool(config.getini("flametest_deploy"))
    if settings.worker and not shared and not (cluster == SANDBOX and deploying):
        raise FlametestError(
            f"the workers of pytest-xdist would all use one system on {cluster}",
            "add --flametest-shared, which lets them take turns; or leave -n out",
        )
    apart = settings.worker if settings.worker and not shared else ""
    return SessionOptions(
        name="-".join(filter(None, (settings.session, apart))),
        cluster=cluster,
        project=_project(config),
        deploying=deploying,
        namespace=str(config.getini("flametest_namespace")),
        url=str(config.getini("flametest_url")),
        seed=config.getoption("flametest_seed"),
        owner=ProcessName.parse(settings.owner) if shared and settings.worker else None,
    )


def _project(config: pytest.Config) -> Any:
    """Return the project of the root folder; with the manifests of the ini file in place of its own.

    Raises:
        ProjectError: there are no manifests, and none are named.
    """
    from dataclasses import replace  # noqa: PLC0415

    from flametest.run.project import ProjectError, nearest_project  # noqa: PLC0415

    project = nearest_project(config.rootpath)
    named = tuple(config.getini("flametest_manifests"))
    if not named and config.getini("flametest_deploy") and not project.manifests.is_dir():
        raise ProjectError(
            f"there is no folder manifests/ in {config.rootpath} or above, so there is nothing to deploy",
            "name your manifests by flametest_manifests in pytest's ini file, or set flametest_deploy = false",
        )
    return replace(project, sources=named)


class _Captured:
    """Writes to wherever standard output goes at that moment, since pytest captures it again for each test."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()
