"""The programs of one scenario that take seconds to start: Chaos Toolkit, and Locust where it runs on this machine.

They are started while the scenario before is watched, stay behind whatever else runs (`flametest.load.priority`), and
begin when they are released.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from flametest.load import Locust
from flametest.load.priority import let_go, stay_behind
from flametest.run.chaostoolkit import PreparedChaos, prepared_chaos
from flametest.run.experiment import Experiment
from flametest.run.repeats import Repeat
from flametest.run.scene import Scene, load_options, recorder_environment

__all__ = ["Programs"]


@dataclass(frozen=True, slots=True)
class _Started:
    chaos: PreparedChaos
    locust: Locust | None


@dataclass(slots=True)
class Programs:
    """What runs one trial of an experiment; `close` ends it on every way out.

    Attributes:
        experiment: what runs.
        scene: on what it runs.
        repeat: which of its trials.
        folder: where it is recorded.
    """

    experiment: Experiment
    scene: Scene
    repeat: Repeat
    folder: Path
    _exits: ExitStack = field(default_factory=ExitStack)
    _started: _Started | None = None

    @property
    def chaos(self) -> PreparedChaos:
        """Return Chaos Toolkit, once it was started."""
        assert self._started is not None
        return self._started.chaos

    @property
    def locust(self) -> Locust | None:
        """Return Locust, once it was started; None where the load comes from pods."""
        assert self._started is not None
        return self._started.locust

    def prepare(self) -> None:
        """Start what was not started, behind whatever else runs.

        Raises:
            LoadError: the load cannot be started; nothing is left running.
            OSError: Chaos Toolkit cannot be.
        """
        if self._started is not None:
            return
        with ExitStack() as exits:
            environment = recorder_environment(self.scene, self.repeat, self.folder)
            journal = self.folder / "journal.json"
            chaos = exits.enter_context(prepared_chaos(self.experiment.path, journal, environment))
            stay_behind(chaos.process.pid)
            locust = None
            if not self.scene.load.workers:
                locust = Locust(load_options(self.scene, self.experiment.entry_path), self.folder)
                exits.callback(locust.stop)
                locust.prepare()
            self._started = _Started(chaos, locust)
            self._exits = exits.pop_all()

    def come_forward(self) -> None:
        """Start what was not started, and let the recorder and the load begin; raises as `prepare`."""
        self.prepare()
        let_go(self.chaos.process.pid)
        self.chaos.record()
        if self.locust is not None:
            self.locust.start()

    def close(self) -> None:
        """End what runs; a second call does nothing."""
        self._exits.close()
