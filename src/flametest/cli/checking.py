"""What ``flametest check`` does once its options are parsed."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from flametest.check.check import CheckOptions, Tree, check
from flametest.check.telling import result_lines
from flametest.cli.commands import find_cluster, find_contexts, find_files, heal_first, in_namespace_of, load_size
from flametest.cli.ending import NotHealedError
from flametest.cli.progress import make_progress
from flametest.cli.where import Where
from flametest.clusters.beside import beside
from flametest.measure.paired import MARGINS
from flametest.model.check import Judgement, Side
from flametest.run.exitcodes import ExitCode
from flametest.run.experiment import named_file, suite_files
from flametest.run.interrupt import interruptible
from flametest.run.project import Project

__all__ = ["check_trees"]

_NOTHING_OF_PODS = {"load_workers": 0, "load_url": "", "load_options": "", "load_test": None}


def check_trees(where: Where, **options: Any) -> int:
    """Compare two trees and print what was found; 1 when the new one is worse, 3 when it cannot be told, else 0."""
    project, base = find_files(), Project(options["base"].absolute())
    trees = {side: _tree(side, one, where) for side, one in ((Side.BASE, base), (Side.NEW, project))}
    out = options["out"] or project.reports / time.strftime("check-%Y-%m-%dT%H-%M-%S")
    wanted = CheckOptions(
        experiment=named_file(project, options["experiment"] or suite_files(project, "core")[0]),
        load=load_size(project, options | _NOTHING_OF_PODS),
        out=out.absolute(),
        seed=options["seed"],
        seconds_max=options["minutes"] * 60,
        block_seconds=5.0,
        margins=MARGINS,
        command=" ".join(["flametest", *sys.argv[1:]]),
    )
    cluster = trees[Side.NEW].cluster
    with interruptible():
        if heal_first(cluster, project):
            return ExitCode.NOT_HEALED
        try:
            result = check(wanted, trees, make_progress(sys.stdout))
        except BaseException as error:
            if heal_first(cluster, project):
                raise NotHealedError from error
            raise
    for line in result_lines(result):
        click.echo(line)
    click.echo(f"summary: {_short(wanted.out / 'summary.md')}")
    return ExitCode.NOT_HEALED if heal_first(cluster, project) else _code(result.judgement)


def _tree(side: Side, project: Project, where: Where) -> Tree:
    """Return a tree with a sandbox of its own; nothing is started.

    Raises:
        FlametestError: it has no manifests, or they cannot be read.
    """
    there = in_namespace_of(where, project)
    first = find_cluster(there, project, find_contexts(there, project, project.read()))
    name = f"check-{os.getpid()}-{side}"
    (cluster,) = beside(first, [name])
    return Tree(name, project, cluster)


def _code(judgement: Judgement) -> ExitCode:
    if judgement is Judgement.WORSE:
        return ExitCode.LIMIT_MISSED
    return ExitCode.INCONCLUSIVE if judgement is Judgement.UNTOLD else ExitCode.PASSED


def _short(path: Path) -> str:
    return os.path.relpath(path)
