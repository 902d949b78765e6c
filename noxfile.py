"""The project's jobs. Each session is a thin caller of ``flametest``, ``pytest`` or a linter.

    nox -s resilience            deploy, load, inject, measure, report (the main job)
    nox -s tests                 the tests, real sandboxes included
    nox -s exhaustive            every fault with every way of ending, whole runs by every provider
    nox -s up / down             the system under test, to look at or to break by hand
    nox -s chaos -- FILE         one experiment by stock Chaos Toolkit
    nox -s load / report         the load alone / render an earlier run again
    nox -s conformance           the sandbox against recordings of a real Kubernetes, field by field
    nox -s soak                  ten minutes of random changes, after which nothing may have leaked
    nox -s lint / bench          static checks / the figures that the documentation states

The sessions that run Flametest share one virtual environment, that of the session ``environment``, which each of
them requires. It is installed once, and again when pyproject.toml or constraints.txt change.
"""

import hashlib
import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import nox

ROOT = Path(__file__).parent
DEBIAN_BROWSER = "chromium"
COMPILING_ONCE = {"PYTHONDONTWRITEBYTECODE": ""}  # empty as if it were not set, which it is on some machines

nox.needs_version = ">=2025.2"
nox.options.sessions = ["lint", "tests"]
nox.options.error_on_external_run = True


@nox.session(reuse_venv=True, default=False)
def environment(session: nox.Session) -> None:
    """Install Flametest, what its tests need and the linters, for the sessions that require this one."""
    _install(session, "test", "lint")


@nox.session(venv_backend="none", requires=["environment"])
def resilience(session: nox.Session) -> None:
    """Run the default suite on the embedded sandbox, or on another ``--cluster``, and write reports/latest/."""
    if _is_for_sandbox(session.posargs):
        _provide_system_packages(session)
    _run(session, "flametest", "run", *session.posargs)


@nox.session(venv_backend="none", requires=["environment"])
def tests(session: nox.Session) -> None:
    """Run the tests: those that assert measured times with nothing beside them, then all others side by side."""
    _provide_system_packages(session, testing=True, browser=True)
    if session.posargs:
        _run(session, "pytest", *session.posargs)
        return
    _run(session, "pytest", "-m", "measured and not exhaustive")
    # Tests with a sandbox mostly wait, so there are more workers than cores.
    side_by_side = ("--numprocesses", "5", "--dist", "loadfile", "--no-loadscope-reorder")
    _run(session, "pytest", *side_by_side, "-m", "not measured and not exhaustive")


@nox.session(venv_backend="none", requires=["environment"])
def exhaustive(session: nox.Session) -> None:
    """Run matrices (every fault with every way of ending) and whole runs, for which a change should not wait."""
    _provide_system_packages(session, testing=True)
    _run(session, "pytest", "-m", "exhaustive", *session.posargs)


@nox.session(venv_backend="none", requires=["environment"])
def conformance(session: nox.Session) -> None:
    """Compare the sandbox with recordings of a real Kubernetes, which ``tests`` does too."""
    _provide_system_packages(session)
    _run(session, "pytest", "tests/conformance", *session.posargs)


@nox.session(venv_backend="none", requires=["environment"])
def soak(session: nox.Session) -> None:
    """Change a sandbox at random for ten minutes (``--seconds``, ``--seed``) and show that nothing has leaked."""
    _provide_system_packages(session, testing=True)
    _run(session, "python", "-m", "tests.soak.soak", *session.posargs)


@nox.session(venv_backend="none", requires=["environment"])
def up(session: nox.Session) -> None:
    """Deploy the system under test to the sandbox, or to another ``--cluster``, and leave it running."""
    if _is_for_sandbox(session.posargs):
        _provide_system_packages(session)
    _run(session, "flametest", "up", *session.posargs)


@nox.session(venv_backend="none", requires=["environment"])
def down(session: nox.Session) -> None:
    """End what ``up`` started."""
    _run(session, "flametest", "down", *session.posargs)


@nox.session(venv_backend="none", requires=["environment"])
def chaos(session: nox.Session) -> None:
    """Run one experiment by stock Chaos Toolkit against what ``up`` deployed."""
    experiment = session.posargs or ["experiments/pod-delete-api.json"]
    _run(session, "chaos", "--no-version-check", "run", *experiment, env=_access(session))


@nox.session(venv_backend="none", requires=["environment"])
def load(session: nox.Session) -> None:
    """Drive the load alone for a minute against what ``up`` deployed."""
    access = _access(session)
    options = session.posargs or ["-u", "20", "-r", "5", "-t", "60s"]
    locustfile = ("-f", "loadtests/locustfile.py", "--headless", "--host", access["FLAMETEST_URL"])
    _run(session, "locust", *locustfile, *options, env=access)


@nox.session(venv_backend="none", requires=["environment"])
def report(session: nox.Session) -> None:
    """Render the report of an earlier run again."""
    _run(session, "flametest", "report", *(session.posargs or ["reports/latest"]))


@nox.session(venv_backend="none", requires=["environment"])
def bench(session: nox.Session) -> None:
    """Measure the figures that the documentation states, and print them as a table."""
    _provide_system_packages(session)
    _run(session, "python", "-m", "scripts.bench", *session.posargs)


@nox.session(venv_backend="none", requires=["environment"])
def lint(session: nox.Session) -> None:
    """Check style, types, import directions and spelling."""
    _run(session, "ruff", "check", ".")
    _run(session, "ruff", "format", "--check", ".")
    _run(session, "mypy")
    _run(session, "lint-imports")
    _run(session, "codespell")


def _run(session: nox.Session, program: str, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Run a program of the shared environment; it starts many others, so every module is compiled once."""
    session.run(str(_program(program)), *arguments, env=COMPILING_ONCE | (env or {}), external=True)


def _program(name: str) -> Path:
    return ROOT / ".nox" / "environment" / "bin" / name


def _install(session: nox.Session, *groups: str) -> None:
    """Install the project with its extra and dependency groups, unless nothing changed since the last time."""
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


def _is_for_sandbox(arguments: Sequence[str]) -> bool:
    """Return whether a command of Flametest means the sandbox; another cluster needs no system packages here."""
    names = [word.removeprefix("--cluster=") for word in arguments]
    return not any(name == "minikube" or name.startswith("context:") for name in names)


def _provide_system_packages(session: nox.Session, *, testing: bool = False, browser: bool = False) -> None:
    """Install missing Debian packages when that is possible; otherwise stop with the command to run.

    Tests need also what the sandbox can do without.
    """
    requirements = _sandbox_requirements()
    wanted = requirements.REQUIREMENTS + (requirements.OPTIONAL if testing else ())
    packages = requirements.debian_packages(requirements.check(wanted))
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
    printed = session.run(str(_program("flametest")), "env", silent=True, external=True)
    words = [word for line in str(printed).splitlines() for word in shlex.split(line)[1:]]
    return dict(word.split("=", 1) for word in words if "=" in word)
