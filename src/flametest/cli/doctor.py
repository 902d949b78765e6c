"""``flametest doctor``: what this machine has, what is missing, and what that prevents."""

import shutil

import click

from flametest.run.exitcodes import ExitCode
from flametest.sandbox import requirements

__all__ = ["diagnose"]

_OPTIONAL_PROGRAMS = (
    ("kubectl", "look into a running system by hand; Flametest itself does not use it"),
    ("chromium", "browser tests of the report (`nox -s tests`)"),
)


def diagnose() -> int:
    """Print a line for each requirement and, at the end, the remedy; 0 when the sandbox can run, else 2."""
    statuses = requirements.check()
    for status in statuses:
        _line("ok" if status.met else "missing", status.requirement.name, status.detail)
        if not status.met:
            _line("", "", f"without it {status.requirement.prevents}")
    for name, purpose in _OPTIONAL_PROGRAMS:
        path = shutil.which(name)
        _line("ok" if path else "optional", name, path or f"only needed to {purpose}")
    if all(status.met for status in statuses):
        click.echo("the sandbox can run on this machine")
        return ExitCode.PASSED
    click.echo(f"remedy: {requirements.remedy(statuses)}")
    return ExitCode.USAGE


def _line(state: str, name: str, detail: str) -> None:
    click.echo(f"{state:9} {name:20} {detail}")
