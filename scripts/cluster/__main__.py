"""Run a real Kubernetes of several nodes on this machine, to test Flametest on and to compare the sandbox with.

    python -m scripts.cluster up --programs DIR --images DIR [--workers 2] [--state DIR]
    python -m scripts.cluster enter node-1 -- COMMAND    run a command in a machine, where the given programs are found
    python -m scripts.cluster down

Needs root. Builds and fetches nothing: README.md beside this file says what has to be given.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.cluster.images import unpack_images
from scripts.cluster.machines import command_inside, end_all, is_running, process_of
from scripts.cluster.network import unlink_from_host
from scripts.cluster.parts import apply, start_control_plane, start_worker, wait_until_ready
from scripts.cluster.plan import CONTEXT, ClusterError, Machine, Plan

_ADDONS = Path(__file__).with_name("addons.yaml")
_STATE = Path("/var/tmp/flametest-cluster")  # noqa: S108  (of root's, and made by this script alone)


def main() -> int:
    """Do what the command line asks; 0, or 2 after an error, which is printed."""
    options = _parsed()
    try:
        if os.geteuid() != 0:
            raise ClusterError("namespaces with containers in them need root")
        if options.command == "up":
            _up(Plan(options.state, options.programs, options.images, options.workers))
        elif options.command == "enter":
            _enter(options.state, options.machine, options.line)
        else:
            _down(options.state, options.images)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _up(plan: Plan) -> None:
    """Start everything; when something fails, end what was started and keep the logs."""
    plan.check()
    if is_running(plan.state):
        raise ClusterError(f"a cluster runs in {plan.state}; remedy: python -m scripts.cluster down")
    _remove(plan, keeping=plan.unpacked)
    plan.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _timed("control plane", lambda: start_control_plane(plan))
        _timed(f"{len(plan.archives)} archives of images", lambda: unpack_images(plan))
        _timed(f"{plan.workers} workers", lambda: _start_workers(plan))
        _timed("names, volumes, metrics", lambda: apply(plan, _ADDONS.read_text()))
        _timed("all Ready", lambda: wait_until_ready(plan))
    except BaseException:
        _end(plan)
        plan.kubeconfig.unlink(missing_ok=True)
        raise
    print(f"context {CONTEXT} of {plan.kubeconfig}; nodes at {', '.join(node.address for node in plan.nodes)}")


def _down(state: Path, images: bool) -> None:
    """End everything, and remove the folder, unpacked images only where that is asked for."""
    plan = Plan(state, Path(), Path(), 0)
    _end(plan)
    _remove(plan, keeping=None if images else plan.unpacked)


def _end(plan: Plan) -> None:
    end_all(plan.state)
    unlink_from_host(plan)


def _remove(plan: Plan, keeping: Path | None) -> None:
    for entry in plan.state.glob("*"):
        if entry.is_dir() and entry != keeping:
            shutil.rmtree(entry)
        elif entry.is_file():
            entry.unlink()
    if plan.state.is_dir() and not any(plan.state.iterdir()):
        plan.state.rmdir()


def _start_workers(plan: Plan) -> None:
    with ThreadPoolExecutor(max_workers=plan.workers) as pool:
        for started in [pool.submit(start_worker, plan, node) for node in plan.nodes]:
            started.result()


def _enter(state: Path, name: str, line: list[str]) -> None:
    """Become the given command, in the machine's namespaces."""
    plan = Plan(state, Path(), Path(), 0)
    command = command_inside(process_of(plan, Machine(name, "")), line or ["bash"])
    os.execvp(command[0], command)  # noqa: S606


def _timed(what: str, do: Callable[[], None]) -> None:
    began = time.monotonic()
    do()
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


def _absolute(text: str) -> Path:
    return Path(text).resolve()


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.cluster", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--state", type=_absolute, default=_STATE, help="folder of the cluster (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a cluster")
    up.add_argument("--programs", type=_absolute, required=True, help="folder with the programs of Kubernetes")
    up.add_argument("--images", type=_absolute, required=True, help="folder with archives of images (*.tar)")
    up.add_argument("--workers", type=int, default=2, help="nodes beside the control plane (default: %(default)s)")
    down = commands.add_parser("down", help="end it, and remove its folder but for unpacked images")
    down.add_argument("--images", action="store_true", help="remove unpacked images as well")
    enter = commands.add_parser("enter", help="run a command in a machine")
    enter.add_argument("machine", help="control, node-1, node-2, ...")
    enter.add_argument("line", nargs="*", metavar="COMMAND", help="default: bash")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
