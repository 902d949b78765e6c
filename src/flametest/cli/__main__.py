"""``python -m flametest.cli`` is ``flametest``."""

from flametest.cli.main import main

if __name__ == "__main__":
    main(prog_name="flametest")
