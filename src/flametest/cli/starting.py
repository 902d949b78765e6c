"""``flametest init`` and ``new``: a folder that tests a system of one's own, and one that holds a system to begin with.

`init` tells what a system consists of and where it is weak, and writes what tests it.
"""

import shlex
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import click
from click.core import ParameterSource
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import flametest
from flametest.cli.commands import find_cluster
from flametest.cli.where import Where
from flametest.clusters import ClusterError
from flametest.kube import connect
from flametest.model.routes import Trust
from flametest.run.exitcodes import ExitCode
from flametest.run.project import Project
from flametest.starter import (
    Plan,
    Severity,
    System,
    Topology,
    Weakness,
    Written,
    answering_paths,
    find_weaknesses,
    make_plan,
    make_topology,
    project_files,
    read_folder,
    read_namespace,
    shipped_files,
    user_paths,
    write_project,
)

__all__ = ["begin", "initialise"]

DEFAULT_URL = "http://127.0.0.1:30080"
PLAIN_WIDTH = 110  # where there is no terminal whose width could be asked


def initialise(
    where: Where, *, manifests: Path | None, out: Path, entry: str, paths: tuple[str, ...], force: bool
) -> int:
    """Look at a namespace of a running cluster, or at a folder of manifests, and write what tests it.

    Args:
        where: the cluster, of which only lists are read; its URL takes the place of the one that would be found.
        manifests: a folder, which is looked at in place of the cluster.
        out: where to write.
        entry: the Service where users enter; empty to have it found.
        paths: what users ask for; none to have it found.
        force: whether files that differ are set aside.
    """
    if manifests is not None:
        system, seen = read_folder(manifests, where.namespace if _is_given("namespace") else ""), None
    else:
        system, seen = _look(where)
    topology = make_topology(system, entry)
    url = where.url or _entry_url(topology, seen or "")
    found = paths or (_paths(url, topology, where.trust) if where.url or seen is not None else topology.paths)
    plan = make_plan(topology, url, found)
    weaknesses = find_weaknesses(topology)
    _tell(plan, weaknesses)
    _tell_written(out, write_project(out, project_files(plan, weaknesses, where.cluster), force=force), plan)
    return ExitCode.PASSED


def begin(folder: Path, *, force: bool) -> int:
    """Write the system that Flametest ships as a project."""
    files = shipped_files(Path(flametest.__file__).parent)
    written = write_project(folder, files, force=force, elsewhere="name another DIR")
    for path in written.kept:
        click.echo(f"kept  {path}, as it was before")
    click.echo(f"wrote {len(written.files)} files to {folder}" if written.files else f"{folder} is up to date")
    click.echo(f"next:  cd {shlex.quote(str(folder))} && flametest run; README.md there names more commands")
    return ExitCode.PASSED


def _is_given(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def _look(where: Where) -> tuple[System, str]:
    """Return the system of a namespace, and the address at which the cluster's provider expects its entry."""
    # Nothing is deployed, so the files of a project are not asked for.
    access = find_cluster(where, Project(Path.cwd())).find()
    if access is None:
        raise ClusterError(
            f"no {where.cluster} is running, or it has no namespace {where.namespace!r}",
            "start it and deploy your system, or name a folder of manifests by --manifests",
        )
    with connect(access.kubeconfig, access.context) as client:
        return read_namespace(client, where.namespace), access.url


def _entry_url(topology: Topology, expected: str) -> str:
    """Return the likeliest address of the entry: what the cluster's provider expects, unless its port is another."""
    entry, found = topology.entry, urlsplit(expected or DEFAULT_URL)
    if entry is None or found.port in entry.node_ports or (expected and entry.kind == "LoadBalancer"):
        return expected or DEFAULT_URL
    hosts = [route.host for route in topology.system.routes if route.service == entry.name and route.host]
    if hosts:
        return f"http://{hosts[0]}"
    return f"http://{found.hostname}:{entry.node_ports[0]}" if entry.node_ports else expected or DEFAULT_URL


def _paths(url: str, topology: Topology, trust: Trust) -> tuple[str, ...]:
    """Return the paths that the entry answers, or without any those that it should, and say so."""
    paths = answering_paths(url, user_paths(topology), trust)
    if not paths:
        click.echo(
            f"warning: {url} answers none of {', '.join(topology.paths)} with 200; is it where users enter? "
            "Name that by --url, and mend the paths in loadtests/locustfile.py",
            err=True,
        )
    return paths or topology.paths


def _tell(plan: Plan, weaknesses: tuple[Weakness, ...]) -> None:
    topology, system = plan.topology, plan.topology.system
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    console.print(f"[bold]{escape(system.origin)}[/bold]")
    console.print(_parts_table(topology))
    if topology.entry is not None:
        why = topology.entrance.reason
        console.print(escape(f"entry: {topology.entry} ({why}), {plan.url} {' '.join(plan.paths)}"))
    for one in topology.dependencies:
        console.print(escape(f"needs: {one.workload} asks Service {one.service} ({one.evidence})"))
    if system.unread:
        console.print(f"not looked at, since the cluster forbids it: {', '.join(system.unread)}")
    _tell_weaknesses(console, weaknesses)


def _parts_table(topology: Topology) -> Table:
    table = _table(columns=("Kind", "Name", "Pods", "Service", "Readiness", "Liveness", "Budget"))
    for one in topology.system.workloads:
        budgets = [budget.name for budget in topology.system.budgets if budget.covers(one)]
        table.add_row(
            one.kind,
            one.name,
            str(one.replicas),
            ", ".join(topology.services_of(one)) or "-",
            _told(any(container.readiness for container in one.containers)),
            _told(any(container.liveness for container in one.containers)),
            ", ".join(budgets) or "-",
        )
    return table


def _tell_weaknesses(console: Console, weaknesses: tuple[Weakness, ...]) -> None:
    if not weaknesses:
        console.print("no weakness that can be seen without an experiment")
        return
    counts = Counter(one.severity for one in weaknesses)
    console.print(f"weaknesses: {', '.join(f'{counts[one]} {one}' for one in Severity if counts[one])}", style="bold")
    table = _table(show_header=False, columns=("Severity", "Weakness"))
    for one in weaknesses:
        table.add_row(
            one.severity,
            f"[bold]{escape(one.part)}[/bold] {one.rule}: {escape(one.evidence)}\n-> {escape(one.advice)}",
        )
    console.print(table)


def _tell_written(out: Path, written: Written, plan: Plan) -> None:
    if not written.files:
        click.echo(f"{out} is up to date; nothing was written")
    for name in written.files:
        click.echo(f"wrote {out / name}")
    for path in written.kept:
        click.echo(f"kept  {path}, as it was before")
    for told in plan.left_out:
        click.echo(told)
    click.echo(f"next: {out / 'README.md'} names the commands")


def _table(*, columns: tuple[str, ...], show_header: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=show_header)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _told(present: bool) -> str:
    return "yes" if present else "NO"
