"""The project's jobs. Each session is a thin caller of ``flametest``, ``pytest`` or a linter.

    nox -s resilience            deploy, load, inject, measure, report (the main job)
    nox -s tests                 all tests, the real sandbox included
    nox -s up / down             the system under test, to look at or to break by hand
    nox -s chaos -- FILE         one experiment by stock Chaos Toolkit
    nox -s load / report         the load alone / render an earlier run again
    nox -s lint / bench          static checks / the figures that the documentation states

The sessions that run Flametest share one virtual environment; it is installed once and again when
pyproject.toml or constraints.txt change.
"""

import hashlib
import importlib.util
import os
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType

import nox

ROOT = Path(__file__).parent
SHARED_ENVIRONMENT = ROOT / ".nox" / "flametest"
DEBIAN_BROWSER = "chromium"

nox.needs_version = ">=2025.2"
nox.options.sessions = ["lint", "tests"]
nox.options.error_on_external_run = True


@nox.session(reuse_venv=True, venv_location=str(SHARED_ENVIRONMENT))
def resilience(session: nox.Session) -> None:
    """Run the default suite on the embedded sandbox and write reports/latest/."""
    _provide_system_packages(session)
    _install(session)
    session.run("flametest", "run", *session.posargs)


@nox.session(reuse_venv=True, venv_location=str(SHARED_ENVIRONMENT))
def tests(session: nox.Session) -> None:
    """Run all tests."""
    _provide_system_packages(session, browser=True)
    _install(session)
    session.run("pytest", *session.posargs)


@nox.session(reuse_venv=True, venv_location=str(SHARED_ENVIRONMENT))
def up(session: nox.Session) -> None:
    """Deploy the system under test to the sandbox and leave it running."""
    _provide_system_packages(session)
    _install(session)
    session.run("flametest", "up", *session.posargs)


@nox.session(reuse_venv=True, venv_location=str(SHARED_ENVIRONMENT))
def down(session: nox.Session) -> None:
    """End what ``up`` started."""
    _install(session)
    session.run("flametest", "down", *session.posargs)


@nox.session(reuse_venv=True, venv_location=str(SHARED_ENVIRONMENT))
def chaos(session: nox.Session) -> None:
    """Run one experiment by stock Chaos Toolkit against what ``up`` deployed."""
    _install(session)
    experiment = session.posargs or ["experiments/pod-delete-api.json"]
    session.run("chaos", "--no-version-check", "run", *experiment, env=_access(session))


@nox.session(reuse_venv=True, venv_location=str(SHARED_ENVIRONMENT))
def load(session: nox.Session) -> None:
    """Drive the load alone for a minute against what ``up`` deployed."""
    _install(session)
    access = _access(session)
    options = session.posargs or ["-u", "20", "-r", "5", "-t", "60s"]
    locustfile = ("-f", "loadtests/locustfile.py", "--headless", "--host", access["FLAMETEST_URL"])
    session.run("locust", *locustfile, *options, env=access)


@nox.session(reuse_venv=True, venv_location=str(SHARED_ENVIRONMENT))
def report(session: nox.Session) -> None:
    """Render the report of an earlier run again."""
    _install(session)
    session.run("flametest", "report", *(session.posargs or ["reports/latest"]))


@nox.session(reuse_venv=True, venv_location=str(SHARED_ENVIRONMENT))
def bench(session: nox.Session) -> None:
    """Measure the figures that the documentation states, and print them as a table."""
    _provide_system_packages(session)
    _install(session)
    session.run("python", "-m", "scripts.bench", *session.posargs)


@nox.session(reuse_venv=True)
def lint(session: nox.Session) -> None:
    """Check style, types, import directions and spelling."""
    _install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")
    session.run("codespell")


def _install(session: nox.Session, *groups: str) -> None:
    """Install the project with its extra and dependency groups, unless nothing changed since the last time."""
    groups = groups or ("test",)
    project = nox.project.load_toml("pyproject.toml")
    wanted = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        wanted.update((ROOT / name).read_bytes())
    stamp = Path(session.virtualenv.location) / "installed.sha256"
    if stamp.exists() and stamp.read_text() == wanted.hexdigest():
        return
    requirements = nox.project.dependency_groups(project, *groups)
    session.install("--editable", ".[sandbox]", *requirements, "--constraint", "constraints.txt")
    stamp.write_text(wanted.hexdigest())


def _provide_system_packages(session: nox.Session, *, browser: bool = False) -> None:
    """Install missing Debian packages when that is possible; otherwise stop with the command to run."""
    requirements = _sandbox_requirements()
    packages = requirements.debian_packages(requirements.check())
    if browser and not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        packages = [*packages, DEBIAN_BROWSER]
    if not packages:
        return
    install = requirements.install_command(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        session.error(f"missing system packages; install them first: sudo {shlex.join(install)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    session.run("apt-get", "update", "--quiet", external=True, env=quiet, silent=True)
    session.run(*install, external=True, env=quiet, silent=True)


def _sandbox_requirements() -> ModuleType:
    """Load the one place that names the system packages, which needs the standard library only."""
    path = ROOT / "src" / "flametest" / "sandbox" / "requirements.py"
    spec = importlib.util.spec_from_file_location("sandbox_requirements", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def _access(session: nox.Session) -> dict[str, str]:
    """Return the environment that ``flametest env`` prints for the running system."""
    printed = session.run("flametest", "env", silent=True)
    words = [word for line in str(printed).splitlines() for word in shlex.split(line)[1:]]
    return dict(word.split("=", 1) for word in words if "=" in word)
