"""Runs the service: ``python -m api_service``."""

from servicekit.server import run_service

from .app import make_app
from .settings import Settings

__all__ = ["main"]


def main() -> None:
    """Serve until a signal comes."""
    run_service("api", Settings.from_environment, make_app)


if __name__ == "__main__":
    main()
