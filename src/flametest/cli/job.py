"""``flametest job``: a run inside the cluster. Options are parsed here; the work is done in `flametest.incluster`."""

import sys
from pathlib import Path
from typing import Any

import click
import yaml

from flametest.cli.commands import find_cluster, find_files
from flametest.cli.progress import make_progress
from flametest.cli.where import Where
from flametest.clusters import running
from flametest.incluster.planning import JobPlan, JobWish, plan_job
from flametest.incluster.starting import await_end, fetch, last_words, remove
from flametest.kube import connect
from flametest.run.exitcodes import ExitCode
from flametest.run.interrupt import interruptible

__all__ = ["fetch_report", "print_job", "remove_job", "run_job"]

RUN_SECONDS_MAX = 7200.0


def print_job(where: Where, **options: Any) -> int:
    """Print the Job's manifest as YAML, with the rights and what each is for as a comment."""
    plan = _plan(where, **options)
    for right, purposes in sorted(plan.needs.items()):
        click.echo(f"# {right}: {', '.join(purposes)}")
    objects = [one.object for one in plan.manifests]
    click.echo(yaml.dump_all(objects, Dumper=_Readable, sort_keys=False, width=120), nl=False)
    return ExitCode.PASSED


def run_job(where: Where, out: Path, *, keep: bool, **options: Any) -> int:
    """Apply the Job, wait for its run, fetch the report, remove everything, and return the run's exit code."""
    project = find_files()
    plan = _plan(where, **options)
    access = running(find_cluster(where, project))
    progress = make_progress(sys.stdout)
    with interruptible(), connect(access.kubeconfig, access.context) as client:
        code: int | None = None
        try:
            with progress.step("apply the Job and its rights") as step:
                step.saw(f"{client.apply(plan.manifests).summary()}; {len(plan.needs)} rights")
            with progress.step("run inside the cluster") as step:
                code = await_end(client, RUN_SECONDS_MAX, step.saw)
                step.saw(f"ended with code {code}")
            if code == ExitCode.USAGE:
                click.echo("\n".join(last_words(client)), err=True)
            else:
                with progress.step("fetch the report") as step:
                    step.saw(str(fetch(client, out) / "report.html"))
        finally:
            if code == ExitCode.NOT_HEALED:
                progress.say(
                    "kept: the undo journal of what could not be healed; the next `flametest job run` heals it"
                )
            elif not keep:
                with progress.step("remove the Job and its rights") as step:
                    step.saw(remove(client, plan.manifests))
    return code


def fetch_report(where: Where, out: Path) -> int:
    """Fetch the report of a Job that has run."""
    access = running(find_cluster(where, find_files()))
    with connect(access.kubeconfig, access.context) as client:
        click.echo(f"report: {fetch(client, out) / 'report.html'}")
    return ExitCode.PASSED


def remove_job(where: Where, **options: Any) -> int:
    """Remove a Job and its rights."""
    access = running(find_cluster(where, find_files()))
    with connect(access.kubeconfig, access.context) as client:
        click.echo(remove(client, _plan(where, **options).manifests))
    return ExitCode.PASSED


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
        image=options["image"],
    )
    return plan_job(wish, find_files())
