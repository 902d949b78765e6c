"""How a command tells what it does: live on a terminal, line by line elsewhere."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from flametest.run.progress import LineProgress, Progress, Seen, Step

__all__ = ["TerminalProgress", "make_progress"]


def make_progress(stream: TextIO) -> Progress:
    """Return what suits ``stream``."""
    if stream.isatty():
        return TerminalProgress(Console(file=stream, highlight=False))
    return LineProgress(stream)


class _Shown(Seen):
    """A step under way: its title, and beside it the last thing that it saw."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self.spinner = Spinner("dots")

    @property
    def line(self) -> Text:
        """Return both, as one line."""
        return Text.assemble(self._title, "  ", (self.text, "dim"))


class TerminalProgress:
    """A spinner for each step while it goes on, a line when it ends; several threads may have steps at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._running: list[_Shown] = []
        self._live: Live | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show the step while it goes on."""
        begun = time.monotonic()
        seen = _Shown(title)
        self._show(seen)
        try:
            yield seen
        except BaseException:
            self._end(seen, "[red]✗[/red]", begun, title)
            raise
        self._end(seen, "[yellow]–[/yellow]" if seen.skipped else "[green]✓[/green]", begun, title)

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(escape(text))

    def _show(self, step: _Shown) -> None:
        with self._lock:
            self._running = [*self._running, step]
            if self._live is None:
                self._live = Live(console=self._console, transient=True, get_renderable=self.rows)
                self._live.start()

    def rows(self) -> Table:
        """Return what is shown of the steps that are under way: a row each."""
        table = Table.grid(padding=(0, 1))
        table.add_column()
        table.add_column(no_wrap=True, overflow="ellipsis")
        for step in self._running:
            table.add_row(step.spinner, step.line)
        return table

    def _end(self, step: _Shown, sign: str, begun: float, title: str) -> None:
        with self._lock:
            self._running = [one for one in self._running if one is not step]
            if not self._running and self._live is not None:
                live, self._live = self._live, None
                live.stop()
            seconds = time.monotonic() - begun
            self._console.print(f"{sign} {seconds:6.1f} s  {escape(title)}  [dim]{escape(step.text)}[/dim]")
