"""Load from a Locust process of this machine, for the time of a block, with what a history has to tell of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flametest.load import LoadError, LoadOptions, Locust
from flametest.model.events import LoadEnded
from flametest.run.folder import append_event, stamp
from flametest.run.loadnotes import Told, load_started, note_generators
from flametest.run.loadpods import wait_until_offered

__all__ = ["loaded_here"]


@contextmanager
def loaded_here(name: str, options: LoadOptions, folder: Path, prepared: Locust | None = None) -> Iterator[None]:
    """Offer load to scenario ``name`` while the block runs, which begins when it is at its rate; record in ``folder``.

    ``prepared`` is the process that offers it, where that was started before.

    Raises:
        LoadError: the load could not be started.
    """
    history, reason = folder / "history.jsonl", "stopped"
    with prepared or Locust(options, folder) as locust:
        wait_until_offered(locust, name, history)
        append_event(history, load_started(name, options, locust.report().users))
        try:
            yield
            reason = _died(locust)
        except BaseException as error:
            reason = str(error) or type(error).__name__
            raise
        finally:
            ended = LoadEnded(stamp(), name, reason)
            locust.stop()
            note_generators(history, ended, [Told(locust.report())])


def _died(locust: Locust) -> str:
    """Return how a load died, which the analysis judges; "stopped" while it lives."""
    try:
        locust.check()
    except LoadError as error:
        return error.message
    return "stopped"
