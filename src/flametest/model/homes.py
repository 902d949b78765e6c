"""Where Flametest keeps things on this machine: state that commands share, and what a user has configured."""

from collections.abc import Mapping
from pathlib import Path

__all__ = ["config_home", "state_home"]


def state_home(environment: Mapping[str, str]) -> Path:
    """Return the folder of all state: $FLAMETEST_HOME, or flametest below the XDG state folder."""
    if home := environment.get("FLAMETEST_HOME"):
        return Path(home).absolute()
    return Path(environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "flametest").absolute()


def config_home(environment: Mapping[str, str]) -> Path:
    """Return the folder of what a user configures: $FLAMETEST_HOME, or flametest below the XDG config folder."""
    if home := environment.get("FLAMETEST_HOME"):
        return Path(home).absolute()
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config", "flametest").absolute()
