"""One deployed system on which trials are run, one after another: healed and whole before each.

A trial is a run of one experiment by stock Chaos Toolkit, with a folder of the same form as that of `flametest run`, so
that `flametest report` renders it.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flametest.faults.owner import RUNNER_VARIABLE, own_name
from flametest.kube import KubeError
from flametest.model.errors import FlametestError
from flametest.model.events import ExperimentStopped, RunEnded, RunStarted
from flametest.model.limits import LIMITS_FILE
from flametest.model.search import DoseTold, TrialTold
from flametest.model.selftest import SelfTest
from flametest.model.verdict import Limit
from flametest.run.analyse import measured
from flametest.run.bookkeeper import Bookkeeper, LedgerWish
from flametest.run.chaostoolkit import run_chaos
from flametest.run.experiment import Experiment, load_experiment
from flametest.run.folder import RunFolder, RunInputs, stamp
from flametest.run.halting import Halt
from flametest.run.rehearsal import aim_all
from flametest.run.selftest import SELF_TEST_FILE, write_self_test
from flametest.run.session import Session
from flametest.run.versions import component_versions
from flametest.search.evidence import Outcome, Saw
from flametest.search.experiment import Described, document
from flametest.search.judging import Judged, judged
from flametest.search.letters import Alphabet, Trial
from flametest.search.promise import limits_text
from flametest.search.structure import Structure

__all__ = ["Bench", "Terms", "described", "doses_told"]

_WRITES = "write_anomalies"
_ATTEMPTS_MAX = 1000
_AIMING = threading.Lock()  # a preview is known to the whole process


@dataclass(frozen=True, slots=True)
class Terms:
    """What all trials of a search have in common.

    Attributes:
        folder: the search's folder.
        alphabet, structure: what is combined.
        promise: what has to hold.
        holds: how long lasting faults are held, by the index of a trial.
        nodes_max: how many nodes may be hit.
        seed: of random choices; each trial has its own, which follows from it.
        command: the command line, for reports.
    """

    folder: Path
    alphabet: Alphabet
    structure: Structure
    promise: tuple[Limit, ...]
    holds: tuple[float, ...]
    nodes_max: int
    seed: int
    command: str

    @property
    def experiments(self) -> Path:
        """Return where the experiments of all trials are kept."""
        return self.folder / "experiments"


class Bench:
    """Runs trials on the system of a session; ``halt`` tells whether they are to be stopped."""

    def __init__(self, session: Session, terms: Terms, self_test: SelfTest, halt: Halt) -> None:
        self._session = session
        self._terms = terms
        self._self_test = self_test
        self._halt = halt
        self._aimed: set[str] = set()

    def run(self, trial: Trial, number: int, saw: Callable[[str], None]) -> TrialTold:
        """Run a trial and return what it has shown; it never raises for what the system under test does.

        Raises:
            HealError: a fault could not be healed.
            FlametestError: the system cannot be made whole, or not be reached.
        """
        began_s, began = time.time(), time.monotonic()
        self._session.clean()
        experiment = self._experiment(trial)
        if refused := self._refusal(trial, experiment):
            found = Judged(Saw(Outcome.REFUSED), {}, refused)
            return self._told(trial, number, found, "", (began_s, time.monotonic() - began))
        folder = _free(self._terms.folder / "trials" / f"{number:04}")
        found = self._judged(experiment, folder, number, saw)
        relative = str(folder.relative_to(self._terms.folder))
        return self._told(trial, number, found, relative, (began_s, time.monotonic() - began))

    def _experiment(self, trial: Trial) -> Experiment:
        """Return the experiment of a trial, written on first use."""
        folder = self._terms.experiments
        folder.mkdir(exist_ok=True)
        (folder / LIMITS_FILE).write_text(limits_text(self._terms.promise), encoding="utf-8")
        name = _slug(trial)
        access = self._session.access
        told = described(self._terms, trial, name, access.namespace, access.url)
        text = json.dumps(document(self._terms.alphabet, trial, told), indent=2, ensure_ascii=False) + "\n"
        file = folder / f"{name}.json"
        file.write_text(text, encoding="utf-8")
        return load_experiment(file)

    def _refusal(self, trial: Trial, experiment: Experiment) -> str:
        """Return why the faults of a trial cannot be injected here; empty when they can. Asked once for each trial."""
        if not trial.doses or trial.key in self._aimed:
            return ""
        try:
            with _AIMING:
                aim_all(self._session.client, self._session.access, [experiment])
        except KubeError:
            raise
        except FlametestError as error:
            return error.message
        self._aimed.add(trial.key)
        return ""

    def _judged(self, experiment: Experiment, path: Path, number: int, saw: Callable[[str], None]) -> Judged:
        folder = self._begin(experiment, path, number)
        own = folder.scenario(experiment.name)
        (own / experiment.path.name).write_bytes(experiment.path.read_bytes())
        access = self._session.access
        environment = {
            **access.environment(os.environ),
            "FLAMETEST_RECORD_DIR": str(own),
            "FLAMETEST_SEED": str(self._terms.seed + number),
            "FLAMETEST_LIMITS_FILE": str(self._terms.experiments / LIMITS_FILE),
            RUNNER_VARIABLE: str(own_name()),
        }
        writes = any(one.criterion == _WRITES for one in self._terms.promise)
        wish = LedgerWish.of(self._session.options.project, writes)
        keeper = Bookkeeper(access.url, wish, access.environment(os.environ))
        with keeper.writing(experiment.name, self._terms.seed + number, own) if writes else nullcontext():
            outcome = run_chaos(experiment.path, own / "journal.json", environment, saw, self._halt)
        if outcome.reason:
            folder.note(ExperimentStopped(stamp(), experiment.name, outcome.reason))
        if writes and keeper.has_written:
            self._session.client.wait_ready(access.namespace, timeout_seconds=20.0)
            folder.write_audit(experiment.name, keeper.read_back(saw))
        folder.fold(experiment.name)
        folder.note(RunEnded(stamp(), "", "completed"))
        result = measured(folder, self._session.options.project)
        return judged(result.scenarios[0], self._terms.promise, deviated=outcome.deviated)

    def _begin(self, experiment: Experiment, path: Path, number: int) -> RunFolder:
        session = self._session
        inputs = RunInputs(
            run_id=f"{experiment.name}-{number:04}",
            cluster=session.cluster.name,
            cluster_note=session.cluster.note,
            namespace=session.access.namespace,
            url=session.access.url,
            suite="",
            seed=self._terms.seed + number,
            command=self._terms.command,
            manifests_digest="",
            scenarios=(experiment.name,),
            limits=(),
            versions=component_versions(session.client.version()),
        )
        folder = RunFolder.create(path, inputs)
        (path / LIMITS_FILE).write_text(limits_text(self._terms.promise), encoding="utf-8")
        write_self_test(self._self_test, path / SELF_TEST_FILE)
        folder.note(RunStarted(stamp(), "", inputs.run_id, inputs.cluster, inputs.seed, inputs.command))
        return folder

    def _told(self, trial: Trial, number: int, found: Judged, folder: str, time_s: tuple[float, float]) -> TrialTold:
        return TrialTold(
            number=number,
            key=trial.key,
            doses=doses_told(self._terms.alphabet, trial),
            hold_seconds=self._terms.holds[trial.hold],
            outcome=str(found.saw.outcome),
            strain=found.saw.strain,
            sentence=found.sentence,
            figures=found.figures,
            folder=folder,
            started_wall_s=time_s[0],
            seconds=round(time_s[1], 2),
        )


def doses_told(alphabet: Alphabet, trial: Trial) -> tuple[DoseTold, ...]:
    """Return the faults of a trial with their strengths in words."""
    return tuple(DoseTold(one.letter, alphabet.letters[one.letter].levels[one.level].words) for one in trial.doses)


def described(terms: Terms, trial: Trial, name: str, namespace: str, url: str) -> Described:
    """Return what the experiment of a trial is called, where it asks, and whose recovery it measures."""
    letters = terms.alphabet.of(trial.letters)
    parts = [one.part for one in letters if one.part]
    path = terms.structure.path_of(parts) or next(iter(terms.structure.paths), "/")
    measured_part = parts[0] if parts else next(iter(sorted(terms.structure.paths.get(path, ()))), "")
    words = " and ".join(map(str, doses_told(terms.alphabet, trial))) or "nothing"
    promised = ", ".join(f"{one.criterion} {one.bound} {one.value:g}" for one in terms.promise)
    return Described(
        name=name,
        title=f"The promise holds under {words}",
        description=f"A trial of flametest search: {words}, at the same time. Promised: {promised}.",
        namespace=namespace,
        url=_lasting(url),
        path=path,
        workload=measured_part,
        hold_seconds=terms.holds[trial.hold],
        nodes_max=terms.nodes_max,
    )


def _free(folder: Path) -> Path:
    """Return a folder that is not there yet: a trial that was killed has left its own, which proves nothing."""
    names = (folder, *(folder.with_name(f"{folder.name}-{number}") for number in range(2, _ATTEMPTS_MAX)))
    return next(one for one in names if not one.exists())


def _lasting(url: str) -> str:
    """Return where the entry will be later: each sandbox of a search has a loopback address of its own."""
    parts = urlsplit(url)
    if not (parts.hostname or "").startswith("127."):
        return url
    return parts._replace(netloc=f"127.0.0.1:{parts.port}" if parts.port else "127.0.0.1").geturl()


def _slug(trial: Trial) -> str:
    """Return a name for a trial's experiment that is a file's name."""
    if not trial.doses:
        return "control"
    return trial.key.replace("@", "-").replace("/", "-hold").replace("-hold0", "")
