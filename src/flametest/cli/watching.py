"""``flametest watch``: the report of a run in progress, in a browser, until Ctrl-C."""

from contextlib import suppress
from pathlib import Path
from threading import Event

import click

from flametest.run.exitcodes import ExitCode
from flametest.run.interrupt import interruptible
from flametest.run.live import LiveReport, newest_run, serving
from flametest.run.project import nearest_project

__all__ = ["watch_run"]


def watch_run(folder: Path | None, port: int) -> int:
    """Serve the report of a run, the newest one without a folder; being interrupted is how this ends."""
    project = nearest_project(Path.cwd())
    report = LiveReport(folder or newest_run(project.reports), project)
    with suppress(KeyboardInterrupt), interruptible(), serving(report, port) as address:
        click.echo(f"{report.path} is shown at {address} until Ctrl-C")
        Event().wait()
    return ExitCode.PASSED
