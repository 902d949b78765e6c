"""Further systems beside the first one of a run, each in a sandbox of its own, for scenarios that run side by side.

They are deployed at the same time, after the first one, whose images they share, and end with the run on every way
out; a reaper ends them when the run is killed. The machine has to be able to carry them: there are no more systems than
processors, and the self-test of the measurement runs as often at once as scenarios are to run, beside the load of them
all. Where it misses its targets, or where a further system does not come up, the run goes on with the first system
alone, and the report says why.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flametest.clusters import Access, Cluster
from flametest.faults.owner import own_name
from flametest.kube import connect
from flametest.load import LoadError, Locust
from flametest.manifests import Reading
from flametest.model.errors import FlametestError
from flametest.model.selftest import SelfTest
from flametest.model.verdict import Verdict
from flametest.run.bookkeeper import LedgerWish
from flametest.run.deploy import deploy
from flametest.run.folder import RunFolder
from flametest.run.halting import Halt, side_by_side
from flametest.run.loadpods import OFFERED_SECONDS_MAX
from flametest.run.progress import Progress, Step, StepProgress
from flametest.run.reaper import Reaper
from flametest.run.recording import Recording, System
from flametest.run.scene import Scene, load_options
from flametest.run.selftest import (
    SELF_TEST_FILE,
    broken_self_test,
    run_self_test,
    short_self_test,
    write_self_test,
)
from flametest.run.selftest_plan import SHORT, at_once

__all__ = ["Further", "Wanted", "deployed_at_once", "side_by_side_where_fit"]


@dataclass(frozen=True, slots=True)
class Further:
    """The further systems of a run, none started.

    Attributes:
        clusters: by the names of their sandboxes.
        wish: whose writes are kept.
        note: why they are fewer than were asked for; empty where they are not.
    """

    clusters: Mapping[str, Cluster]
    wish: LedgerWish
    note: str = ""


@contextmanager
def side_by_side_where_fit(
    recording: Recording,
    first: System,
    further: Further,
    earlier: SelfTest | None,
    deployed: Callable[[Sequence[System]], None] = lambda _: None,
) -> Iterator[Sequence[System]]:
    """Yield the systems on which scenarios are to run, once the measurement has been tested; the first one always.

    The further ones end with the context. What the self-test found is written into the run's folder.

    Args:
        recording: of the run; gets a note that says how many scenarios run at the same time, where several were wanted.
        first: the system that is there.
        further: those that are wanted beside it.
        earlier: what a self-test has found that was run for several runs; None to run one.
        deployed: called with all systems, before the measurement is tested.
    """
    if further.note:
        recording.notes.append(further.note)
        recording.progress.say(further.note)
    with ExitStack() as exits:
        systems = [first, *_deployed_where_possible(exits, recording, further)]
        deployed(systems)
        if len(systems) > 1 and not _is_fit(recording, systems):
            exits.close()
            systems = [first]
        if len(systems) == 1:
            _test_alone(recording, earlier)
        yield systems


def _deployed_where_possible(exits: ExitStack, recording: Recording, further: Further) -> Sequence[System]:
    """Return further systems that are ready; none where one of them does not come up."""
    if not further.clusters:
        return ()
    count = len(further.clusters)
    reading = recording.project.read()
    wanted = {name: Wanted(cluster, reading) for name, cluster in further.clusters.items()}
    title = f"{count} further sandbox{'' if count == 1 else 'es'}"
    try:
        return exits.enter_context(deployed_at_once(wanted, title, recording.progress, further.wish))
    except FlametestError as error:
        _fall_back(recording, count + 1, f"a further sandbox did not come up: {error.message}")
        return ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A system that is to be deployed: a sandbox that was not started, and the manifests."""

    cluster: Cluster
    reading: Reading


@contextmanager
def deployed_at_once(
    wanted: Mapping[str, Wanted], title: str, progress: Progress, wish: LedgerWish
) -> Iterator[list[System]]:
    """Deploy systems at the same time, and end them on every way out, also when this process is killed.

    Args:
        wanted: by the names of their sandboxes.
        title: what they are called together.
        progress: where it is told.
        wish: the ledger that is kept of each.

    Raises:
        FlametestError: one does not come up; none is left.
    """
    reaper = Reaper(list(wanted), own_name())
    try:
        with progress.step(f"deploy {title}") as step:
            found = _deploy_all(wanted, step)
            step.saw(", ".join(access.url for access in found))
        with ExitStack() as exits:
            yield [
                System.of(one.cluster, access, exits.enter_context(connect(access.kubeconfig, access.context)), wish)
                for one, access in zip(wanted.values(), found, strict=True)
            ]
    finally:
        with progress.step(f"end {title}"):
            side_by_side({f"end {name}": partial(_end, one.cluster) for name, one in wanted.items()}, Halt())
        reaper.stop()


def _deploy_all(wanted: Mapping[str, Wanted], step: Step) -> list[Access]:
    halt = Halt()
    found: dict[str, Access] = {}

    def bring_up(name: str, one: Wanted) -> None:
        found[name] = deploy(one.cluster, one.reading, StepProgress(step, f"sandbox {name}", halt.check))

    side_by_side({f"deploy {name}": partial(bring_up, name, one) for name, one in wanted.items()}, halt)
    return [found[name] for name in wanted]


def _end(cluster: Cluster) -> None:
    cluster.down()


def _is_fit(recording: Recording, systems: Sequence[System]) -> bool:
    """Return whether the measurement meets its targets while as many scenarios are under load; note what was found."""
    count = len(systems)
    with recording.progress.step(f"test the measurement itself, {count} times at once alongside {count} loads") as step:
        found = _tested_under_load([recording.scene(one) for one in systems], recording.folder.inputs().seed, step)
        step.saw(found.sentence)
    if found.verdict is not Verdict.PASSED:
        _fall_back(recording, count, f"alongside the load of {count} scenarios the self-test {found.sentence}")
        return False
    _keep(found, recording.folder)
    recording.notes.append(
        f"{count} scenarios ran at the same time, each in a sandbox of its own; the self-test ran {count} times at "
        f"once alongside the load of {count} scenarios"
    )
    return True


def _tested_under_load(scenes: Sequence[Scene], seed: int, step: Step) -> SelfTest:
    """Run the self-test as often at once as there are systems, beside the load of a scenario on each."""
    form = at_once(SHORT, len(scenes))
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="flametest-loads-")))
        try:
            loads = []
            for number, scene in enumerate(scenes):
                own = folder / str(number)
                own.mkdir()
                loads.append(exits.enter_context(Locust(load_options(scene), own)))
            return run_self_test(form, seed, step.saw, partial(_wait_until_offered, loads))
        except LoadError as error:
            return broken_self_test(form, seed, error.message)


def _wait_until_offered(loads: Sequence[Locust]) -> None:
    for load in loads:
        load.wait_until_offered(OFFERED_SECONDS_MAX)


def _test_alone(recording: Recording, earlier: SelfTest | None) -> None:
    """Test the measurement on this machine, as it is now; what it misses makes the run inconclusive."""
    with recording.progress.step("test the measurement itself") as step:
        found = earlier or short_self_test(recording.folder.inputs().seed, step.saw)
        _keep(found, recording.folder)
        step.saw(found.sentence)


def _keep(found: SelfTest, folder: RunFolder) -> None:
    write_self_test(found, folder.path / SELF_TEST_FILE)


def _fall_back(recording: Recording, wanted: int, reason: str) -> None:
    note = f"the scenarios ran one after the other, though {wanted} at the same time were requested: {reason}"
    recording.progress.say(f"note: {note}")
    recording.notes.append(note)
