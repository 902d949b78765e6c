"""The folder of a run that was never run: the laboratory's scenario, written as a run would have left it."""

import csv
import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path

from flametest.measure.samples import Samples
from flametest.model.events import Event, ProberEnded, RunEnded, RunStarted
from flametest.model.history import History, encode
from flametest.model.samples import SAMPLE_COLUMNS, Lane, Sample
from flametest.run.folder import RunFolder, RunInputs
from tests.measure.conftest import Laboratory, stamp

__all__ = ["REPOSITORY", "SCENARIO", "laboratory_run", "rewrite", "truncate", "write_raw"]

REPOSITORY = Path(__file__).parents[2]
SCENARIO = "pod-delete-api"
LIMITS = "[default]\noutage_seconds = 3\nrecovery_seconds = 5\nsteady_seconds = 15\navailability = 0.99\n"


def laboratory_run(
    path: Path,
    *,
    history: History | None = None,
    samples: Samples | None = None,
    keep: Callable[[Sample], bool] = lambda sample: True,
    limits: str = LIMITS,
    trials: int = 1,
) -> RunFolder:
    """Write a run of one deleted pod, by default one that passes; ``keep`` chooses the samples that are recorded."""
    lab = Laboratory()
    inputs = RunInputs(
        "r", "sandbox", "", "flametest", "http://127.0.0.1", "core", 7, "flametest run", "", (SCENARIO,), (), (), trials
    )
    folder = RunFolder.create(path, inputs)
    (folder.path / "limits.toml").write_text(limits)
    events = list(lab.deletion() if history is None else history)
    recorded = lab.samples() if samples is None else samples
    rows = [row for row in map(recorded.row, range(len(recorded))) if keep(row)]
    folder.note(RunStarted(stamp(0), "", "r", "sandbox", 7, "flametest run"))
    for number in range(1, trials + 1):
        _write(folder, SCENARIO if trials == 1 else f"{SCENARIO}/trial-{number}", events, rows)
    folder.note(RunEnded(stamp(91), "", "completed"))
    return folder


def _write(folder: RunFolder, key: str, events: list[Event], rows: list[Sample]) -> None:
    own = folder.scenario(key)
    experiment = REPOSITORY / "experiments" / f"{SCENARIO}.json"
    (own / experiment.name).write_bytes(experiment.read_bytes())
    write_raw(own, events, rows)
    folder.fold(key)


def write_raw(own: Path, events: list[Event], rows: list[Sample]) -> None:
    """Write history and samples as the programs of a running scenario leave them in its folder."""
    # As the prober's own account goes, so that a record which misses some is noticed.
    probed = sum(row.lane is not Lane.LOAD for row in rows)
    accounted = [dataclasses.replace(one, sent=probed) if isinstance(one, ProberEnded) else one for one in events]
    (own / "history.jsonl").write_text("".join(f"{encode(event)}\n" for event in accounted))
    for lane, name in ((True, "samples-load.csv"), (False, "samples-prober.csv")):
        with (own / name).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(SAMPLE_COLUMNS)
            writer.writerows(row for row in rows if (row.lane is Lane.LOAD) is lane)


def truncate(folder: RunFolder, share: float) -> None:
    """Cut the file of samples off, in the middle of its compressed bytes."""
    path = folder.path / "samples.csv.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: round(len(whole) * share)])


def rewrite(folder: RunFolder, keep: Callable[[int, str], bool]) -> None:
    """Leave rows out of the file of samples, which stays a whole file."""
    path = folder.path / "samples.csv.gz"
    with gzip.open(path, "rt") as lines:
        header, *rows = lines
    with gzip.open(path, "wt") as lines:
        lines.writelines([header, *(row for number, row in enumerate(rows) if keep(number, row))])
