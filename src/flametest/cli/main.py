"""``flametest``: every command in one readable place; the work is done in `flametest.run` and below."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from flametest import __version__
from flametest.cli.ending import guarded
from flametest.cli.ratetype import RateType
from flametest.cli.runoptions import (
    ABORT_WHEN,
    EXPERIMENTS,
    HELPER_IMAGE_OPTION,
    MARGIN,
    PATH,
    SKIP,
    SUITE,
    RunCommand,
    run_options,
)
from flametest.cli.where import Where, at_cluster, building_images, in_sandbox, making_minikube

__all__ = ["main"]


def _span(_context: click.Context, _option: click.Parameter, text: str) -> float:
    """Return a time in seconds."""
    from flametest.cli.searching import parse_seconds  # noqa: PLC0415

    return parse_seconds(text)


class _Program(click.Group):
    """A group of commands that return their exit codes."""

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any) -> Any:  # type: ignore[override]
        """Run a command and exit with its code; return it instead unless ``standalone_mode``."""
        run = partial(super().main, args, standalone_mode=False, **extra)
        return sys.exit(guarded(run)) if standalone_mode else run()

    @contextmanager
    def _silent(self) -> Iterator[None]:
        """Pass an interruption on as click does, but leave it to `guarded` to tell."""
        try:
            yield
        except KeyboardInterrupt as error:
            raise click.Abort from error

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the command line; ``--help`` is answered here."""
        with self._silent():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with self._silent():
            return super().invoke(ctx)


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="flametest")
def main() -> None:
    """Resilience tests for services on Kubernetes: faults under load, measured, with a verdict.

    Exit codes: 0 all limits held, 1 a limit was missed, 2 usage or set-up error, 3 inconclusive, 4 something could
    not be healed, 70 an unexpected error, 130 interrupted, 141 the output was closed by its reader.
    """


@main.command(cls=RunCommand)
@at_cluster
@making_minikube
@building_images
@run_options
def run(where: Where, **options: Any) -> int:
    """Deploy, load, inject, measure, report."""
    from flametest.cli.commands import run_suite  # noqa: PLC0415

    return run_suite(where, **options)


@main.command()
@at_cluster
@click.option(
    "--promise",
    multiple=True,
    metavar="LIMIT",
    help="CRITERION=NUMBER, or a table of limits.toml; repeatable [default].",
)
@click.option(
    "--faults", multiple=True, metavar="PATTERN", help="Combine only faults with these names; repeatable [all]."
)
@click.option("--path", "paths", multiple=True, metavar="PATH", help="Path that users request; repeatable [found].")
@click.option(
    "--size", default=2, show_default=True, type=click.IntRange(1, 4), help="Maximum number of faults in a set."
)
@click.option(
    "--together",
    default=4,
    show_default=True,
    type=click.IntRange(1, 5),
    help="Maximum number of faults in a trial, to test several sets at once.",
)
@click.option(
    "--budget", "budget_seconds", default="15m", show_default=True, callback=_span, help="Time limit for all trials."
)
@click.option(
    "--nodes", "nodes_max", type=click.IntRange(0, 2), help="Nodes to hit at once [1 on the sandbox and Minikube]."
)
@click.option("--first", is_flag=True, help="Stop at the first set that breaks the promise.")
@click.option(
    "--parallel", default=1, show_default=True, type=click.IntRange(1, 8), help="Trials to run at the same time."
)
@click.option("--order", type=click.Choice(["likeliest", "random"]), default="likeliest", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of random choices [drawn].")
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the search [reports/search-DATE-TIME].")
@click.option("--output", type=PATH, metavar="DIR", help="Folder for found-NAME.json and its limits [experiments].")
@click.option("--resume", type=PATH, metavar="DIR", help="Continue an earlier search.")
@click.option("--no-deploy", is_flag=True, help="Search a running system; deploy and remove nothing.")
def search(where: Where, **options: Any) -> int:
    """Find the smallest set of faults that breaks a promise."""
    from flametest.cli.searching import find_smallest  # noqa: PLC0415

    return find_smallest(where, **options)


@main.command()
@click.argument("sources", nargs=-1, type=PATH, metavar="[DIR | FILE]...")
@click.option("-k", "--kustomize", "kustomization", type=PATH, metavar="DIR", help="Deploy a kustomization.")
@click.option("--bare", is_flag=True, help="Start an empty cluster for kubectl; deploy nothing.")
@click.option("--strict", is_flag=True, help="Refuse manifests with kinds that the cluster does not serve.")
@at_cluster
@making_minikube
@building_images
def up(where: Where, sources: tuple[Path, ...], kustomization: Path | None, bare: bool, strict: bool) -> int:
    """Deploy manifests, by default those of the project, and leave the system running.

    Deploys what `kubectl apply -R -f` would apply, including subfolders. Objects without a namespace go into that of
    --namespace.
    """
    from flametest.cli.deploying import bring_up, bring_up_bare  # noqa: PLC0415

    if bool(sources) + bool(kustomization) + bare > 1:
        raise click.UsageError("DIR or FILE, --kustomize and --bare exclude one another")
    if bare and where.build == "always":
        raise click.UsageError("--build always belongs to manifests, which name what is to be built; --bare has none")
    return bring_up_bare(where) if bare else bring_up(where, sources, kustomization, strict=strict)


@main.command()
@at_cluster
@click.option("--delete", is_flag=True, help="Delete Minikube's profile with all its contents instead of stopping it.")
def down(where: Where, delete: bool) -> int:
    """Stop what `up` started."""
    from flametest.cli.deploying import bring_down  # noqa: PLC0415

    return bring_down(replace(where, delete=delete))


@main.command()
@at_cluster
def status(where: Where) -> int:
    """Show what is running and whether it is healthy."""
    from flametest.cli.deploying import show_status  # noqa: PLC0415

    return show_status(where)


@main.command()
@at_cluster
@click.option("--forget", is_flag=True, help="Discard the records of faults that cannot be healed.")
def undo(where: Where, forget: bool) -> int:
    """Heal faults that earlier runs left behind, on any cluster."""
    from flametest.cli.commands import undo as heal  # noqa: PLC0415

    return heal(where, forgetting=forget)


@main.command()
@at_cluster
def env(where: Where) -> int:
    """Print the shell commands that point kubectl, chaos and locust at the running system."""
    from flametest.cli.deploying import print_environment  # noqa: PLC0415

    return print_environment(where)


@main.command()
@click.argument("folder", type=PATH, metavar="DIR")
def report(folder: Path) -> int:
    """Render the report of an earlier run again; a run that crashed is analysed first."""
    from flametest.cli.commands import render_again  # noqa: PLC0415

    return render_again(folder)


@main.command()
@click.option("--short", is_flag=True, help="Only the short form that precedes each run; takes seconds.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the random phases [drawn and printed].")
@click.option("--out", type=PATH, metavar="DIR", help="Where to save selftest.json [reports].")
def selftest(short: bool, seed: int | None, out: Path | None) -> int:
    """Test the measurement with outages of known length; exits with 0 if it meets its targets, otherwise 3."""
    from flametest.cli.measurement import test_measurement  # noqa: PLC0415

    return test_measurement(short, seed, out)


@main.command()
@click.argument("base", type=PATH, metavar="BASE")
@click.argument("new", type=PATH, metavar="NEW")
@MARGIN
def compare(base: Path, new: Path, margin_ratio: float) -> int:
    """Compare two runs; exits with 1 if NEW is worse by more than the margin, 3 if the trials are too few to decide."""
    from flametest.cli.measurement import compare as compare_folders  # noqa: PLC0415

    return compare_folders(base, new, margin_ratio)


@main.command()
@in_sandbox
@building_images
@click.option(
    "--base", required=True, type=PATH, metavar="DIR", help="The tree to compare with, such as a git worktree."
)
@click.option(
    "--experiment",
    type=PATH,
    metavar="FILE|NAME",
    help="Experiment whose fault both trees get [the first of the suite core].",
)
@click.option(
    "--minutes", default=5.0, show_default=True, type=click.FloatRange(1, 60), help="Time limit of the whole check."
)
@click.option("--users", default=20, show_default=True, type=click.IntRange(1, 1000), help="Users of each tree's load.")
@click.option("--rate", type=RateType(), metavar="NUMBER|reached", help="Requests a second of each user, as for run.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of random choices [drawn and printed].")
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the check [reports/check-DATE-TIME].")
def check(where: Where, **options: Any) -> int:
    """Compare this tree with another one, at the same time, under the same fault and load.

    Exit codes: 0 the same or better, 1 worse, 3 cannot be told.
    """
    from flametest.cli.checking import check_trees  # noqa: PLC0415

    return check_trees(where, **options)


@main.command()
@click.argument("folder", required=False, type=PATH, metavar="[DIR]")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port on 127.0.0.1 [any free one].")
def watch(folder: Path | None, port: int) -> int:
    """Serve the report of a run in progress to a browser and keep it up to date; without DIR, the newest run."""
    from flametest.cli.watching import watch_run  # noqa: PLC0415

    return watch_run(folder, port)


@main.command()
@at_cluster
@click.option(
    "--manifests", type=PATH, metavar="DIR", help="Analyse manifests, a folder or a file, instead of a cluster."
)
@click.option("--entry", default="", metavar="SERVICE", help="The Service where users enter [the most likely].")
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="PATH",
    help="Path that users request, the most important first; repeatable [found].",
)
@click.option(
    "--out",
    default=Path("flametest"),
    show_default=True,
    type=PATH,
    metavar="DIR",
    help="Folder to write to.",
)
@click.option("--force", is_flag=True, help="Replace files that differ; previous versions are kept as NAME.~1~.")
@click.option(
    "--format",
    "is_json",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    callback=lambda _context, _option, value: value == "json",
    help="Print text for people or a JSON object for tools.",
)
@click.option(
    "--tighten",
    type=PATH,
    metavar="REPORT",
    help="Analyse no system; propose tighter limits from a run that passed, such as reports/latest.",
)
@click.option("--write", is_flag=True, help="With --tighten: write these limits; the previous file is kept.")
def init(where: Where, tighten: Path | None, write: bool, **options: Any) -> int:
    """Analyse your own system: list its weaknesses, and write experiments, limits and load for it."""
    if tighten is not None:
        from flametest.cli.tightening import tighten as tighten_limits  # noqa: PLC0415

        return tighten_limits(tighten, write=write)
    if write:
        raise click.UsageError("--write goes with --tighten; what init writes itself is written without it")
    from flametest.cli.starting import initialise  # noqa: PLC0415

    return initialise(where, **options)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--force", is_flag=True, help="Replace files that differ; previous versions are kept as NAME.~1~.")
def new(folder: Path, force: bool) -> int:
    """Create a project from the system that comes with Flametest, with its experiments."""
    from flametest.cli.starting import begin  # noqa: PLC0415

    return begin(folder, force=force)


@main.group()
def job() -> None:
    """Run a suite as a Job inside the cluster, with only the permissions that it needs."""


def _what_job(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command of `job` the options that say what the Job is; the arguments after ``--`` are those of `run`."""
    image = click.option(
        "--image", default="flametest/flametest:0.1.0", show_default=True, metavar="NAME", help="Image of Flametest."
    )
    arguments = click.argument("run_arguments", nargs=-1, metavar="[-- OPTIONS OF RUN]")
    return at_cluster(SUITE(EXPERIMENTS(ABORT_WHEN(image(HELPER_IMAGE_OPTION(arguments(command)))))))


_JOB_OUT = click.option("--out", type=PATH, metavar="DIR", help="New folder for the report [reports/DATE-TIME].")


@job.command("print")
@_what_job
def job_print(where: Where, **options: Any) -> int:
    """Print the Job and its permissions as YAML, with reasons, to be reviewed and applied with kubectl."""
    from flametest.cli.job import print_job  # noqa: PLC0415

    return print_job(where, **options)


@job.command("run")
@_what_job
@_JOB_OUT
@click.option("--keep", is_flag=True, help="Leave the Job and its permissions in the cluster afterwards.")
def job_run(where: Where, **options: Any) -> int:
    """Apply the Job, wait for its run, fetch the report, remove everything; exits with the code of the run inside."""
    from flametest.cli.job import run_job  # noqa: PLC0415

    return run_job(where, **options)


@job.command("fetch")
@at_cluster
@_JOB_OUT
def job_fetch(where: Where, out: Path | None) -> int:
    """Fetch the report of a Job that has finished."""
    from flametest.cli.job import fetch_report  # noqa: PLC0415

    return fetch_report(where, out)


@job.command("remove")
@_what_job
def job_remove(where: Where, **options: Any) -> int:
    """Remove a Job and its permissions."""
    from flametest.cli.job import remove_job  # noqa: PLC0415

    return remove_job(where, **options)


@main.group()
def images() -> None:
    """The sandbox's store of real images, shared by all sandboxes of this user."""


@images.command("list")
def images_list() -> int:
    """List the images with their digests and compressed sizes."""
    from flametest.cli.images import list_images  # noqa: PLC0415

    return list_images()


@images.command("load")
@click.argument("archives", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ARCHIVE...")
@click.option("--name", default="", metavar="NAME", help="Name of the image [the names in the archive].")
def images_load(archives: tuple[Path, ...], name: str) -> int:
    """Load images from archives of `docker save`, OCI archives or folders."""
    from flametest.cli.images import load  # noqa: PLC0415

    return load(archives, name)


@images.command("pull")
@click.argument("references", nargs=-1, required=True, metavar="NAME...")
def images_pull(references: tuple[str, ...]) -> int:
    """Pull images from their registries; they are then used instead of stand-ins."""
    from flametest.cli.images import pull_images  # noqa: PLC0415

    return pull_images(references)


@images.command("prune")
@click.option("--all", "everything", is_flag=True, help="Remove every image that no sandbox runs.")
def images_prune(everything: bool) -> int:
    """Remove layers that no image needs any more."""
    from flametest.cli.images import prune  # noqa: PLC0415

    return prune(everything)


@main.command()
@at_cluster
@click.option("--suite", default="core", show_default=True, help="Suite whose permissions are checked on a context.")
@SKIP
def doctor(where: Where, suite: str, skip: tuple[str, ...]) -> int:
    """Show what this machine or a context provides, what is missing, and what that prevents."""
    from flametest.cli.doctor import diagnose  # noqa: PLC0415

    return diagnose(where, suite, skip)
