"""A long run is analysed in seconds: a million requests, with the memory that they take."""

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.run.laboratory_run import SCENARIO, laboratory_run

REQUESTS = 1_000_000
ANALYSE = """
import json, pathlib, resource, sys, time
from flametest.run.analyse import analyse
from flametest.run.folder import RunFolder
from flametest.run.project import Project
begun = time.process_time()
result = analyse(RunFolder.open(pathlib.Path(sys.argv[1])), Project(pathlib.Path(sys.argv[1]).parent))
kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
requests = result.scenarios[0].availability.valid
print(json.dumps({"seconds": time.process_time() - begun, "bytes": kilobytes * 1024, "requests": requests}))
"""


@pytest.mark.slow
def test_a_million_requests_are_analysed_in_ten_seconds_and_a_gigabyte(tmp_path: Path) -> None:
    """Processor time is compared, since other programs' use of the machine is no fault of the analysis."""
    folder = laboratory_run(tmp_path / "run")
    path = folder.path / "samples.csv.gz"
    with gzip.open(path, "rt") as lines:
        header, *rows = lines
    load = [row for row in rows if ",load," in row]
    copies = REQUESTS // len(load)
    with gzip.open(path, "wt", compresslevel=1) as target:
        target.writelines([header, *(row for row in rows if ",load," not in row)])
        for copy in range(copies):
            target.writelines(_shifted(row, copy * 7919, copy * len(load) + at) for at, row in enumerate(load))
    history = folder.path / "history.jsonl"
    offered = 40.0 * copies
    history.write_text(history.read_text().replace('"offered_per_second":40.0', f'"offered_per_second":{offered}'))

    done = subprocess.run(
        [sys.executable, "-c", ANALYSE, str(folder.path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )

    found = json.loads(done.stdout)
    assert found["requests"] > 600_000  # those after the injection, in the second two thirds of the record
    assert found["seconds"] <= 10, found
    assert found["bytes"] <= 1e9, found


def _shifted(row: str, nanoseconds: int, number: int) -> str:
    """Return a row later, with the id of another request."""
    fields = row.rstrip("\n").split(",")
    assert fields[0] == SCENARIO
    fields[3:6] = [str(int(field) + nanoseconds) for field in fields[3:6]]
    return ",".join([*fields[:-1], hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest()]) + "\n"
