"""``flametest``, also as ``python -m flametest.cli``."""

import sys
from typing import NoReturn

from flametest.cli.ending import guarded

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    sys.exit(guarded(_command_line))


def _command_line() -> int | None:
    # Not before: an installation that is broken is told as any other error.
    from flametest.cli.main import main as program  # noqa: PLC0415

    code: int | None = program.main(prog_name="flametest", standalone_mode=False)
    return code


if __name__ == "__main__":
    main()
