"""Runs the ``chaos`` command again and again, each time in a fork of a process that has imported it once.

    python chaos_driver.py [--without-plugin] < commands.jsonl > results.jsonl

A command is ``{"folder": ..., "arguments": [...]}``; a result is its exit code. Its output is in the folder.
"""

import importlib.metadata
import json
import os
import sys
import traceback
from typing import Any, NoReturn

if "--without-plugin" in sys.argv:
    _found = importlib.metadata.entry_points

    def _without(**selection: Any) -> Any:
        return [] if selection.get("group") == "chaostoolkit.cli_plugins" else _found(**selection)

    importlib.metadata.entry_points = _without
    import importlib_metadata

    importlib_metadata.entry_points = _without

from chaostoolkit.cli import cli

for _name in ("chaosk8s.pod.actions", "requests", "charset_normalizer", "kubernetes"):
    importlib.import_module(_name)  # once, not in each fork
if "--without-plugin" not in sys.argv:
    for _name in ("flametest.chaos.controls", "flametest.clusters.allowed", "flametest.chaos.actions"):
        importlib.import_module(_name)


def main() -> None:
    """Run each command of the standard input."""
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(command)
        _, status = os.waitpid(pid, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def _run(command: dict[str, Any]) -> NoReturn:
    os.chdir(command["folder"])
    sys.path.insert(0, command["folder"])
    output = os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 70
    try:
        cli(command["arguments"])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
