"""``flametest init`` and ``new``: a folder that tests a system of one's own, and one that holds a system to begin with.

`init` tells what a system consists of and where it is weak, and writes what tests it.
"""

import json
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

import flametest
from flametest.cli.commands import find_cluster
from flametest.cli.inventory import print_inventory, some
from flametest.cli.where import Where
from flametest.clusters import ClusterError
from flametest.kube import connect
from flametest.model.routes import Trust
from flametest.run.exitcodes import ExitCode
from flametest.run.project import Project
from flametest.starter import (
    LEDGER_FILE,
    Guess,
    Plan,
    System,
    Topology,
    Written,
    account,
    answering_paths,
    find_operations,
    find_weaknesses,
    guess_ledger,
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

SANDBOX = "sandbox"
SANDBOX_URL = "http://127.0.0.1:30080"  # the sandbox opens node ports on loopback
_HTTP_PORT = 80
_WRITTEN_MAX = 24  # as many files as a person reads the names of


def initialise(
    where: Where,
    *,
    manifests: Path | None,
    out: Path,
    entry: str,
    paths: tuple[str, ...],
    force: bool,
    is_json: bool = False,
) -> int:
    """Look at a namespace of a running cluster, or at a folder of manifests, and write what tests it.

    Args:
        where: the cluster, of which only lists are read; its URL takes the place of the one that would be found.
        manifests: a folder, which is looked at in place of the cluster.
        out: where to write.
        entry: the Service where users enter; empty to have it found.
        paths: what users ask for; none to have it found.
        force: whether files that differ are set aside.
        is_json: whether a JSON object is printed in place of a text.
    """
    if manifests is not None:
        system = read_folder(manifests, where.namespace if _is_given("namespace") else "")
        seen = SANDBOX_URL if where.cluster == SANDBOX else ""
    else:
        system, seen = _look(where)
    topology = make_topology(system, entry)
    url = where.url or _entry_url(topology, seen)
    is_running = manifests is None or where.url
    found = paths or (_paths(url, topology, where.trust) if url and is_running else topology.paths)
    weaknesses = find_weaknesses(topology)
    if not is_json:
        print_inventory(topology, weaknesses, url, found)
    plan = make_plan(topology, url, found)
    guess = guess_ledger(find_operations(topology, url if is_running else "", manifests, where.trust))
    files = project_files(plan, weaknesses, where.cluster)
    if guess.text:
        files[f"experiments/{LEDGER_FILE}"] = guess.text
    written = write_project(out, files, force=force)
    if is_json:
        told = account(topology, weaknesses, url, found)
        made = {"written": [str(out / name) for name in written.files], "left_out": list(plan.left_out)}
        ledger = {"guessed": bool(guess.text), "told": guess.told}
        click.echo(json.dumps(told | made | {"ledger": ledger}, indent=2, ensure_ascii=False))
    else:
        _tell_written(out, written, plan, guess)
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
            "start it and deploy your system, or name a folder of manifests with --manifests",
        )
    with connect(access.kubeconfig, access.context) as client:
        return read_namespace(client, where.namespace), access.url


def _entry_url(topology: Topology, expected: str) -> str:
    """Return the address of the entry as far as it is known: by its node port, its route or its load balancer.

    ``expected`` is where the cluster opens node ports, with the one of its own entry; empty where that is not known.
    """
    entry, found = topology.entry, urlsplit(expected)
    if entry is None:
        return ""
    if expected and found.port in entry.node_ports:
        return expected
    for route in topology.system.routes:
        if route.service == entry.name and route.host and "*" not in route.host:
            return f"{'https' if route.is_tls else 'http'}://{route.host}"
    for address in filter(None, entry.addresses):
        return f"http://{address}{_suffix(entry.ports[0].number if entry.ports else 80)}"
    return f"http://{found.hostname}:{entry.node_ports[0]}" if expected and entry.node_ports else ""


def _suffix(port: int) -> str:
    return "" if port == _HTTP_PORT else f":{port}"


def _paths(url: str, topology: Topology, trust: Trust) -> tuple[str, ...]:
    """Return the paths that the entry answers, or without any those that it should, and say so."""
    paths = answering_paths(url, user_paths(topology), trust)
    if not paths:
        click.echo(
            f"warning: {url} answers none of {', '.join(topology.paths)} with 200; is it where users enter? "
            "Name that with --url, and fix the paths in loadtests/locustfile.py",
            err=True,
        )
    return paths or topology.paths


def _tell_written(out: Path, written: Written, plan: Plan, guess: Guess) -> None:
    if not written.files:
        click.echo(f"{out} is up to date; nothing was written")
    if len(written.files) > _WRITTEN_MAX:
        click.echo(f"wrote {len(written.files)} files below {out}: {some(written.files)}")
    else:
        for name in written.files:
            click.echo(f"wrote {out / name}")
    for path in written.kept:
        click.echo(f"kept  {path}, as it was before")
    for told in plan.left_out:
        click.echo(told)
    if guess.text:
        click.echo(
            f"ledger of writes: {guess.told}. Check it before the first run: {out / 'experiments' / LEDGER_FILE}"
        )
    else:
        click.echo(guess.told)
    click.echo(f"next: {out / 'README.md'} names the commands")
