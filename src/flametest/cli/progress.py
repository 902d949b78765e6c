"""How a command tells what it does: live on a terminal, line by line elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from flametest.run.progress import LineProgress, Progress, Seen, Step

__all__ = ["TerminalProgress", "make_progress"]


def make_progress(stream: TextIO) -> Progress:
    """Return what suits ``stream``."""
    if stream.isatty():
        return TerminalProgress(Console(file=stream, highlight=False))
    return LineProgress(stream)


class _Shown(Seen):
    """The last thing that a step saw, shown beside a spinner."""

    def __init__(self, status: Status, title: str) -> None:
        super().__init__()
        self._status, self._title = status, title

    def saw(self, text: str) -> None:
        super().saw(text)
        self._status.update(f"{escape(self._title)}  [dim]{escape(text)}[/dim]")


class TerminalProgress:
    """A spinner while a step goes on, a line when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show the step while it goes on."""
        begun = time.monotonic()
        with self._console.status(escape(title)) as status:
            seen = _Shown(status, title)
            try:
                yield seen
            except BaseException:
                self._end("[red]✗[/red]", begun, title, seen.text)
                raise
        self._end("[yellow]–[/yellow]" if seen.skipped else "[green]✓[/green]", begun, title, seen.text)

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(escape(text))

    def _end(self, sign: str, begun: float, title: str, seen: str) -> None:
        seconds = time.monotonic() - begun
        self._console.print(f"{sign} {seconds:6.1f} s  {escape(title)}  [dim]{escape(seen)}[/dim]")
