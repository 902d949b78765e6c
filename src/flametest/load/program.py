"""What the programs that record beside a run begin and end with; their handle is `flametest.load.process`.

Standard library only, so that they start at once and stay small.
"""

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from flametest.load.errors import LoadError

__all__ = ["add_common_arguments", "positive", "record"]


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every such program has."""
    parser.add_argument("--summary", type=Path, required=True, help="JSON file to write at the end")
    parser.add_argument("--seconds-max", type=positive, default=3600.0, help="ends by itself after so long")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process that it ends with")


def positive(text: str) -> float:
    """Return the number of an argument.

    Raises:
        argparse.ArgumentTypeError: it is not above zero, or not finite.
    """
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, found {text!r}")
    return value


def record(name: str, work: Callable[[], Mapping[str, int]], summary_file: Path) -> int:
    """Do the work of such a program and write its summary; return the exit code: 0, or 2 when it cannot be done.

    What has been loaded until now is never looked at again by the garbage collector, which would delay requests.
    """
    gc.collect()
    gc.freeze()
    try:
        summary_file.write_text(json.dumps(work()) + "\n")
    except (LoadError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0
