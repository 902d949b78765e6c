"""``flametest search``: the smallest set of faults that breaks a promise."""

import random
import re
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flametest.cli.commands import find_files, in_namespace_of, recalled
from flametest.cli.ending import NotHealedError
from flametest.cli.progress import make_progress
from flametest.cli.where import Where
from flametest.model.search import SearchResult, outcome_headline
from flametest.run.exitcodes import ExitCode, exit_code
from flametest.run.folder import RunFolder
from flametest.run.interrupt import interruptible

if TYPE_CHECKING:
    from flametest.search.conduct import SearchOptions

__all__ = ["find_smallest", "parse_seconds", "render_search_again"]

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_UNITS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str) -> float:
    """Return a span such as 90, 90s, 15m or 1h in seconds.

    Raises:
        click.BadParameter: it is none.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None or float(found[1]) <= 0:
        raise click.BadParameter(f"expected a time such as 15m, 90s or 1h, found {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def find_smallest(where: Where, **options: Any) -> int:
    """Search, and tell what was found."""
    from flametest.faults.errors import HealError  # noqa: PLC0415
    from flametest.run.session import SessionOptions  # noqa: PLC0415 (imports the official client)
    from flametest.search.conduct import SearchOptions, search  # noqa: PLC0415

    resume = options["resume"]
    if resume is not None and (given := [one for one in ("promise", "faults", "paths") if options[one]]):
        raise click.UsageError(f"--resume continues a search with its own options; leave out: {', '.join(given)}")
    project = find_files()
    where = recalled(where) if options["no_deploy"] else in_namespace_of(where, project)
    seed = options["seed"] if options["seed"] is not None else random.SystemRandom().randrange(2**31)
    folder: Path = (
        resume or options["out"] or project.reports / f"search-{time.strftime('%Y-%m-%dT%H-%M-%S')}"
    ).absolute()
    if resume is None:
        RunFolder.check(folder)
        folder.mkdir(parents=True, exist_ok=True)
    wanted = SearchOptions(
        session=SessionOptions(
            name=f"search-{random.SystemRandom().randrange(2**32):08x}",
            cluster=where.cluster,
            project=project,
            deploying=not options["no_deploy"],
            namespace=where.namespace if where.is_namespace_named or options["no_deploy"] else "",
            url=where.url,
            seed=seed,
        ),
        output=(options["output"] or project.experiments).absolute(),
        folder=folder,
        resuming=resume is not None,
        promise=options["promise"],
        faults=options["faults"],
        paths=options["paths"],
        size=options["size"],
        together=options["together"],
        is_random=options["order"] == "random",
        seed=seed,
        nodes_max=options["nodes_max"],
        budget_seconds=options["budget_seconds"],
        is_first_enough=options["first"],
        parallel=options["parallel"],
        command=shlex.join(["flametest", *sys.argv[1:]]),
    )
    with interruptible():
        try:
            result = search(wanted, make_progress(sys.stdout))
        except HealError as error:
            raise NotHealedError from error
    _tell(result, wanted)
    return exit_code(result.verdict) if not result.trouble else ExitCode.INCONCLUSIVE


def render_search_again(folder: Path) -> int:
    """Render the report of an earlier search again, and print how it ended."""
    from flametest.report import render_search  # noqa: PLC0415
    from flametest.search.journal import read_search  # noqa: PLC0415

    result = read_search(folder)
    (folder / "report.html").write_text(render_search(result), encoding="utf-8")
    click.echo(outcome_headline(result))
    click.echo(f"report: {_near((folder / 'report.html').absolute())}")
    return exit_code(result.verdict)


def _tell(result: SearchResult, wanted: "SearchOptions") -> None:
    click.echo("")
    click.echo(outcome_headline(result))
    for one in result.found:
        click.echo(f"found   {one.words}, held for {one.hold_seconds:g} s: {one.sentence}")
        for without in one.without:
            left = f"with {' and '.join(without.left)} alone" if without.left else "without any fault"
            click.echo(f"        {left}: held {without.holds} times, broke {without.breaks} times")
        for doubt in one.doubts:
            click.echo(f"        not shown: {doubt}")
        folder = wanted.output if one.is_confirmed else wanted.folder / "found"
        click.echo(f"        repeat it: chaos run {_near(folder / f'{one.name}.json')}")
    for beyond in result.beyond:
        click.echo(f"broke, with more faults than --size {result.asked.size}: {' and '.join(beyond.letters)}")
    for reason, count in result.left_out.items():
        click.echo(f"not tried: {count} sets: {reason}")
    if not result.is_over:
        click.echo(f"continue: flametest search --resume {_near(wanted.folder)}")
    click.echo(f"report: {_near(wanted.folder / 'report.html')}")


def _near(path: Path) -> str:
    """Return a path as a user of this working directory writes it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
