"""One scenario of a run: the load and the ledger of writes, and beside them one experiment by stock Chaos Toolkit."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from flametest.run.chaostoolkit import ChaosOutcome
from flametest.run.loading import loaded_here
from flametest.run.loadpods import PodLoadOptions, loaded_from_pods
from flametest.run.logfollowing import followed
from flametest.run.programs import Programs
from flametest.run.scene import load_options

__all__ = ["run_scenario"]


def run_scenario(programs: Programs, saw: Callable[[str], None], begun: Callable[[], None]) -> ChaosOutcome:
    """Run one trial of an experiment under load and writes; everything recorded lies in its folder afterwards.

    Args:
        programs: what runs it; ended afterwards.
        saw: called with each line that tells how far it is.
        begun: called when the experiment is about to begin.

    Raises:
        LoadError: the load could not be started.
    """
    scene, name = programs.scene, programs.experiment.name
    saw(f"bringing up {scene.load.words}")
    with closing(programs):
        programs.come_forward()
        with (
            followed(name, scene.access, programs.folder),
            _loaded(programs, saw),
            scene.bookkeeper.writing(name, programs.repeat.seed, programs.folder),
        ):
            begun()
            programs.chaos.run_until_recorded(saw, scene.halt)
        return programs.chaos.outcome(saw, scene.halt)


@contextmanager
def _loaded(programs: Programs, saw: Callable[[str], None]) -> Iterator[None]:
    scene, name, folder = programs.scene, programs.experiment.name, programs.folder
    options = load_options(scene, programs.experiment.entry_path)
    if scene.load.workers:
        pods = PodLoadOptions(options, scene.load.workers, scene.load.entry)
        with loaded_from_pods(name, scene.access, pods, folder, saw):
            yield
        return
    with loaded_here(name, options, folder, programs.locust):
        yield
