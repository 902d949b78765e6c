"""``flametest job``: a run inside the cluster. Options are parsed here; the work is done in `flametest.incluster`."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

from flametest.cli.commands import find_cluster, find_files, state_files, tell
from flametest.cli.ending import NotHealedError
from flametest.cli.progress import make_progress
from flametest.cli.where import Where
from flametest.clusters import running
from flametest.incluster.planning import JobPlan, JobWish, plan_job
from flametest.incluster.starting import (
    JobError,
    JobLostError,
    await_end,
    begin_again,
    fetch,
    interrupt,
    last_words,
    remove,
)
from flametest.kube import KubeClient, connect
from flametest.model.helperimage import HELPER_IMAGE_VARIABLE
from flametest.model.plurals import counted
from flametest.run.exitcodes import ExitCode
from flametest.run.folder import read_result
from flametest.run.interrupt import interruptible
from flametest.run.progress import Progress
from flametest.run.project import ProjectError

__all__ = ["documented_code", "fetch_report", "print_job", "remove_job", "run_job"]

RUN_SECONDS_MAX = 7200.0
_KEPT = (
    "kept, with the undo journal of what may not be healed: `flametest job run` heals that first; "
    "`flametest job remove` gives up on it"
)


def print_job(where: Where, **options: Any) -> int:
    """Print the Job's manifest as YAML, with the rights and what each is for as a comment."""
    plan = _plan(where, **options)
    for right, purposes in sorted(plan.needs.items()):
        click.echo(f"# {right}: {', '.join(purposes)}")
    objects = [one.object for one in plan.manifests]
    click.echo(yaml.dump_all(objects, Dumper=_Readable, sort_keys=False, width=120), nl=False)
    return ExitCode.PASSED


def run_job(where: Where, out: Path | None, *, keep: bool, **options: Any) -> int:
    """Apply the Job, wait for its run, fetch the report, remove everything, and return the run's exit code."""
    plan, folder = _plan(where, **options), _new_folder(out)
    access = running(find_cluster(where, find_files()))
    progress = make_progress(sys.stdout)
    with interruptible(), connect(access.kubeconfig, access.context) as client:
        with progress.step("apply the Job and its rights") as step:
            begin_again(client)
            step.saw(f"{client.apply(plan.manifests).summary()}; {counted(len(plan.needs), 'right')}")
        try:
            with progress.step("run inside the cluster") as step:
                code = documented_code(_await_end(client, step.saw), step.saw)
        except JobLostError as error:
            progress.say(_KEPT)
            raise NotHealedError from error
        except JobError:
            remove(client, plan.manifests)  # nothing has begun
            raise
        _take_report(client, code, folder, progress)
        if code == ExitCode.NOT_HEALED:
            progress.say(_KEPT)
        elif not keep:
            with progress.step("remove the Job and its rights") as step:
                step.saw(remove(client, plan.manifests))
    return code


def documented_code(code: int, saw: Callable[[str], None]) -> int:
    """Return the code with which this command ends for that of the run inside; one that was killed has not healed."""
    saw(f"ended with code {code}")
    if code in tuple(ExitCode):
        return code
    saw(f"ended with code {code}, which is none of a run: it was killed, and may have left a fault behind")
    return ExitCode.NOT_HEALED


def _await_end(client: KubeClient, saw: Callable[[str], None]) -> int:
    """Return the run's exit code; an interruption is passed on to it, and waits until it has healed."""
    try:
        return await_end(client, RUN_SECONDS_MAX, saw)
    except KeyboardInterrupt:
        saw("interrupted; waiting until the run inside has healed")
        return interrupt(client)


def _take_report(client: KubeClient, code: int, out: Path, progress: Progress) -> None:
    """Fetch the report; a run that has not begun, or was interrupted early, has none, and its last words are told."""
    try:
        with progress.step("fetch the report") as step:
            step.saw(str(fetch(client, out)))
        if (out / "result.json").exists():  # an interrupted run has none
            tell(read_result(out / "result.json"), out)
    except JobError:
        if code in (ExitCode.PASSED, ExitCode.LIMIT_MISSED, ExitCode.INCONCLUSIVE):
            raise
        click.echo("\n".join(last_words(client)), err=True)


def fetch_report(where: Where, out: Path | None) -> int:
    """Fetch the report of a Job that has run."""
    folder = _new_folder(out)
    access = running(find_cluster(where, state_files()))
    with connect(access.kubeconfig, access.context) as client:
        click.echo(f"report: {fetch(client, folder) / 'report.html'}")
    return ExitCode.PASSED


def remove_job(where: Where, **options: Any) -> int:
    """Remove a Job and its rights."""
    access = running(find_cluster(where, state_files()))
    with connect(access.kubeconfig, access.context) as client:
        click.echo(remove(client, _plan(where, **options).manifests))
    return ExitCode.PASSED


def _new_folder(out: Path | None) -> Path:
    """Return the folder for the report.

    Raises:
        ProjectError: it holds something already.
    """
    folder = out or state_files().reports / time.strftime("%Y-%m-%dT%H-%M-%S")
    if folder.exists() and any(folder.iterdir()):
        raise ProjectError(f"the folder {folder} is not empty", "name a new folder with --out")
    return folder


class _Readable(yaml.SafeDumper):
    """Writes text of several lines as such, so that the experiments in a manifest can be read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def _plan(where: Where, **options: Any) -> JobPlan:
    wish = JobWish(
        suite=options["suite"],
        experiments=options["experiments"],
        namespace=where.namespace,
        url=where.url,
        run_arguments=options["run_arguments"],
        abort_when=options["abort_when"],
        image=options["image"],
        helper_image=options["helper_image"] or os.environ.get(HELPER_IMAGE_VARIABLE, ""),
    )
    return plan_job(wish, find_files())
