"""The options of ``flametest run``, those that other commands share with it, and a help that fits on a screen.

``run --help`` has what most people use; ``--help-all`` adds what a cluster of one's own or another load takes.
"""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

from flametest.cli.ratetype import RateType
from flametest.model.harm import HarmLimitError, parse_harm_limits
from flametest.model.helperimage import HELPER_IMAGE

__all__ = [
    "ABORT_WHEN",
    "EXPERIMENTS",
    "HELPER_IMAGE_OPTION",
    "MARGIN",
    "PATH",
    "SKIP",
    "SUITE",
    "RunCommand",
    "run_options",
]

_SELDOM = frozenset(
    {
        *("ca_file", "insecure", "known", "nodes", "images", "driver", "helper_image"),
        *("load_test", "load_options", "load_workers", "load_url", "margin_ratio", "build", "trace_link"),
    }
)


class _Path(click.Path):
    """A path that can be written into reports."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; one with bytes that are no text is refused."""
        try:
            str(value).encode()
        except UnicodeEncodeError:
            self.fail(f"{str(value)!a} is no text in UTF-8, as names in reports have to be", param, ctx)
        return super().convert(value, param, ctx)


class RunCommand(click.Command):
    """A command whose ``--help`` leaves out options that few people need, and says where they are."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        whole = click.Option(
            ["--help-all"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_all,
            help="Show all options.",
        )
        self.params.append(whole)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, without those that few people need unless they were asked for."""
        hidden = [one for one in self.params if one.name in _SELDOM and isinstance(one, click.Option)]
        for option in hidden:
            option.hidden = not ctx.meta.get(__name__)
        super().format_options(ctx, formatter)
        for option in hidden:
            option.hidden = False


def _show_all(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        ctx.meta[__name__] = True
        click.echo(ctx.get_help())
        ctx.exit()


def _harm_limits(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return harm limits as they were given; one that cannot be understood is refused."""
    try:
        parse_harm_limits(texts)
    except HarmLimitError as error:
        raise click.BadParameter(str(error)) from error
    return texts


PATH = _Path(path_type=Path)

SUITE = click.option("--suite", default="core", show_default=True, help="Suite of experiments/suites.toml.")

EXPERIMENTS = click.option(
    "--experiment",
    "experiments",
    multiple=True,
    type=PATH,
    metavar="FILE|NAME",
    help="Run this instead of a suite; repeatable.",
)

SKIP = click.option("--skip", multiple=True, metavar="NAME", help="Leave out this experiment of the suite; repeatable.")

HELPER_IMAGE_OPTION = click.option(
    "--helper-image",
    default="",
    metavar="IMAGE",
    help=f"Image of the helper pods of faults; any with Python 3.11 or newer [{HELPER_IMAGE}].",
)

MARGIN = click.option(
    "--margin",
    "margin_ratio",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 10),
    metavar="SHARE",
    help="How much worse than the baseline is not yet a regression, as a share of its median.",
)

ABORT_WHEN = click.option(
    "--abort-when",
    multiple=True,
    callback=_harm_limits,
    metavar="FIGURE=NUMBER",
    help="Heal and stop if users suffer more: availability, error_rate, outage_seconds.",
)

_LOAD = (
    click.option(
        "--users", default=20, show_default=True, type=click.IntRange(1, 1000), metavar="N", help="Users of the load."
    ),
    click.option(
        "--rate",
        type=RateType(),
        metavar="NUMBER|reached",
        help="Requests a second of each user; reached: the rate that the load test reaches before the fault [5].",
    ),
    click.option(
        "--load-test",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Any Locust file [loadtests/locustfile.py]; if it does not read FLAMETEST_RATE_PER_USER, "
        "--rate is reached.",
    ),
    click.option(
        "--load-options", default="", metavar="TEXT", help='Further options of Locust, such as "--tags checkout".'
    ),
    click.option(
        "--load-workers",
        default=0,
        show_default=True,
        type=click.IntRange(0, 50),
        metavar="N",
        help="Pods that send the load; 0: one process on this machine.",
    ),
    click.option("--load-url", default="", metavar="URL", help="Address of the entry for these pods [its Service]."),
)

_JUDGEMENT = (
    click.option(
        "--limit", "limits", multiple=True, metavar="LIMIT", help="[SCENARIO:]CRITERION=NUMBER, overrides limits.toml."
    ),
    ABORT_WHEN,
    click.option("--ledger/--no-ledger", default=None, help="Require a ledger of writes, or keep none."),
    click.option(
        "--baseline", type=PATH, metavar="DIR", help="Compare with an earlier run; a regression exits with 1."
    ),
    MARGIN,
    click.option(
        "--trace-link",
        default="",
        metavar="URL",
        help="Address of a trace in your tracing system, with {trace_id} in it; the report links to it.",
    ),
)

_COURSE = (
    click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Seed of random choices [drawn]."),
    click.option(
        "--trials",
        default=1,
        show_default=True,
        type=click.IntRange(1, 1000),
        metavar="N",
        help="Repeat each scenario; the worst trial decides.",
    ),
    click.option(
        "--parallel",
        default=1,
        show_default=True,
        type=click.IntRange(1, 16),
        metavar="N",
        help="Scenarios to run at the same time, each in its own sandbox.",
    ),
    HELPER_IMAGE_OPTION,
    click.option("--keep", is_flag=True, help="Leave the system running afterwards."),
    click.option("--no-deploy", is_flag=True, help="Test a system that is already running."),
    click.option("--dry-run", is_flag=True, help="Show what each fault would hit."),
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` what only a run has: what is run, under which load, and how it is judged."""
    out = click.option("--out", type=PATH, metavar="DIR", help="Folder of the run [reports/DATE-TIME].")
    options = (SUITE, EXPERIMENTS, SKIP, out, *_LOAD, *_JUDGEMENT, *_COURSE)
    return reduce(lambda found, option: option(found), reversed(options), command)
