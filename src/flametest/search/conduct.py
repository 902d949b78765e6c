"""A search, step by step: deploy, look, try, shrink, and keep what was found; stopped at any moment, it can go on."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flametest.model.plurals import counted
from flametest.model.search import SCHEMA_VERSION, Asked, FoundTold, LetterTold, SearchResult, TrialTold
from flametest.model.verdict import Limit
from flametest.report import render_search
from flametest.run.analyse import render
from flametest.run.experiment import read_limits
from flametest.run.folder import RunFolder
from flametest.run.halting import Halt
from flametest.run.progress import Progress
from flametest.run.session import Session, SessionOptions
from flametest.search.account import FOUND, Account
from flametest.search.alphabet import alphabet_of, chosen, read_folder, written_paths
from flametest.search.bench import Bench, Terms, described
from flametest.search.candidates import Space
from flametest.search.errors import SearchError
from flametest.search.evidence import Evidence, Outcome
from flametest.search.experiment import document
from flametest.search.hunt import Found, Hunt
from flametest.search.journal import Journal, Recorded, read_search, saw_of
from flametest.search.keeping import keep_found
from flametest.search.letters import Alphabet, Trial
from flametest.search.pool import Pool, started
from flametest.search.promise import hold_seconds, promise_of
from flametest.search.structure import Structure
from flametest.search.terrain import structure_of
from flametest.starter import answering_paths, make_plan, make_topology, read_namespace, user_paths

__all__ = ["SearchOptions", "search"]

_SCREENING_SHARE = 0.7  # of the budget; the rest is for shrinking what was found
_CONTROL = Trial(())
_CONTROLS_MAX = 3


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a search is asked for.

    Attributes:
        session: the system.
        output: where experiments of what was found are kept.
        folder: where everything is kept; of an earlier search, when resuming.
        resuming: whether an earlier search goes on.
        promise: as `flametest.search.promise.promise_of` takes it.
        faults: patterns of names; none for all.
        paths: what users ask for; none to have it found.
        size: so many faults at most in one set.
        together: so many faults at once, to look at several sets in one trial; that of a set looks at each by itself.
        is_random: whether candidates come in a random order.
        seed: of random choices.
        nodes_max: how many nodes may be hit; None for one on a cluster of one's own, and none elsewhere.
        budget_seconds: no trial begins later.
        is_first_enough: whether it ends with the first set that is found.
        parallel: so many trials are run at a time, each on a sandbox of its own.
        command: the command line.
    """

    session: SessionOptions
    output: Path
    folder: Path
    resuming: bool
    promise: tuple[str, ...]
    faults: tuple[str, ...]
    paths: tuple[str, ...]
    size: int
    together: int
    is_random: bool
    seed: int
    nodes_max: int | None
    budget_seconds: float
    is_first_enough: bool
    parallel: int
    command: str


def search(options: SearchOptions, progress: Progress) -> SearchResult:
    """Carry out a search and return what it has found; its folder holds the account and the report.

    Raises:
        FlametestError: usage, set-up or deployment is at fault; nothing is left running.
        KeyboardInterrupt: a signal ended it; it can go on from its folder.
    """
    before = read_search(options.folder) if options.resuming else None
    if before is None:
        promise = promise_of(options.promise, read_limits(options.session.project.limits_file))
    else:
        promise, options = before.asked.promise, _as_before(options, before)
    halt = Halt()
    with started(options.session, options.parallel, progress, halt) as sessions:
        searching = _Searching(options, sessions, promise, progress, halt)
        try:
            searching.conduct()
            if not options.session.deploying:
                sessions[0].clean()  # it stays, and has to be whole
        finally:
            searching.keep()
    return searching.result


def _as_before(options: SearchOptions, before: SearchResult) -> SearchOptions:
    """Return the options with what an earlier search was asked for, which can only go on as it began."""
    asked = before.asked
    return replace(options, faults=asked.faults, paths=tuple(before.paths), nodes_max=asked.nodes_max)


class _Searching:
    """One search on one system."""

    def __init__(
        self,
        options: SearchOptions,
        sessions: Sequence[Session],
        promise: tuple[Limit, ...],
        progress: Progress,
        halt: Halt,
    ) -> None:
        session = sessions[0]
        self._options = options
        self._progress = progress
        self._session = session
        self._began = time.monotonic()
        alphabet, structure, nodes_max = _terrain(options, session)
        asked = _asked(options, promise, nodes_max)
        self._journal = _journal(options, session, asked, alphabet, structure)
        self._before_seconds = self._journal.result.seconds
        asked = self._journal.result.asked  # of the search that goes on
        self._terms = Terms(
            options.folder, alphabet, structure, asked.promise, asked.hold_seconds, nodes_max, asked.seed, asked.command
        )
        shuffled = asked.seed if asked.order == "random" else None
        space = Space(alphabet, structure, asked.size, nodes_max, shuffled, asked.together)
        self._hunt = Hunt(
            space,
            Evidence(),
            len(asked.hold_seconds),
            is_first_enough=asked.is_first_enough,
            abreast=len(sessions),
        )
        self._recorded = Recorded.of(self._journal.result)
        benches = [Bench(one, self._terms, session.self_test, halt) for one in sessions]
        self._pool = Pool(benches, alphabet, progress, halt, self._note)

    @property
    def result(self) -> SearchResult:
        """Return what is known so far."""
        return self._journal.result

    def conduct(self) -> None:
        """Try what is worth it until all is decided, or the budget is spent."""
        asking, evidence = self._hunt.asking(), self._hunt.evidence
        trials = self._recorded.next_new(asking, evidence)
        self._tell_begin()
        trouble = self._control()
        if trouble:
            self._journal.write(replace(self.result, trouble=trouble))
            return
        while trials:
            if self._may_try():
                self._try(trials)
            trials = self._recorded.next_new(asking, evidence)

    def keep(self) -> None:
        """Write what is known: the account, the experiments of what was found, and the report."""
        hunt = self._hunt
        account = Account(self._terms, hunt.evidence, self.result.trials)
        found = tuple(account.found(one, number) for number, one in enumerate(hunt.found, 1))
        for told, one in zip(found, hunt.found, strict=True):
            self._keep_found(told, one)
        self._journal.write(
            replace(
                self.result,
                found=found,
                held=tuple(account.set(one, hunt.reasons.get(one, "")) for one in hunt.held),
                undecided=tuple(account.set(one, hunt.reasons.get(one, "")) for one in hunt.undecided),
                beyond=tuple(account.set(one, hunt.reasons.get(one, "")) for one in hunt.beyond),
                left_out=hunt.left_out(),
                is_over=hunt.is_over,
                seconds=round(self._seconds(), 1),
            )
        )
        (self._terms.folder / "report.html").write_text(render_search(self.result), encoding="utf-8")

    def _seconds(self) -> float:
        return self._before_seconds + time.monotonic() - self._began

    def _may_try(self) -> bool:
        share = _SCREENING_SHARE if self._hunt.is_screening and not self._options.is_first_enough else 1.0
        return time.monotonic() - self._began < self._options.budget_seconds * share

    def _control(self) -> str:
        """Return why nothing can be searched: the promise breaks without any fault; empty when it holds."""
        for _ in range(_CONTROLS_MAX):
            self._try((_CONTROL,))
            told = self.result.trials[-1]
            if told.outcome == Outcome.HOLDS:
                return ""
        return f"the promise does not hold without any fault, so that no fault can be blamed: {told.sentence}"

    def _try(self, trials: Sequence[Trial]) -> None:
        first = len(self.result.trials) + 1
        self._pool.run(tuple(enumerate(trials, first)))

    def _note(self, trial: Trial, told: TrialTold) -> None:
        self._journal.note(told)
        self._hunt.evidence.add(trial.key, saw_of(told))

    def _tell_begin(self) -> None:
        terms, hunt = self._terms, self._hunt
        promised = ", ".join(f"{one.criterion} {one.bound} {one.value:g}" for one in terms.promise)
        self._progress.say(f"promise: {promised}")
        self._progress.say(
            f"combines {counted(len(terms.alphabet.letters), 'fault')}, up to {hunt.space.size} at a time: "
            f"{', '.join(sorted(terms.alphabet.letters))}"
        )
        if self.result.trials:
            self._progress.say(f"continues after {len(self.result.trials)} trials")

    def _keep_found(self, one: FoundTold, found: Found) -> None:
        """Write the experiment of a set that breaks; one that is known to goes among those of the project as well."""
        terms, access = self._terms, self._session.access
        told = described(terms, found.shrunk.trial, one.name, access.namespace, access.url)
        told = replace(told, description=told.description.replace("A trial of flametest search", "Found to break"))
        text = json.dumps(document(terms.alphabet, found.shrunk.trial, told), indent=2, ensure_ascii=False) + "\n"
        folders = [terms.folder / FOUND, *([self._options.output] if one.is_confirmed else [])]
        for folder in folders:
            keep_found(folder, one.name, text, terms.promise)
        if one.record:
            render(RunFolder.open(terms.folder / one.record))


def _terrain(options: SearchOptions, session: Session) -> tuple[Alphabet, Structure, int]:
    """Return the faults that can be combined on a system, what decides how, and how many nodes may be hit.

    Raises:
        FlametestError: there is nothing to combine.
    """
    access, project = session.access, options.session.project
    nodes_max = options.nodes_max
    if nodes_max is None:
        nodes_max = 1 if session.cluster.is_own else 0
    topology = make_topology(read_namespace(session.client, access.namespace))
    written = read_folder(project.experiments)
    wanted = options.paths or (*written_paths(written), *user_paths(topology))
    paths = options.paths or answering_paths(access.url, wanted) or ("/",)
    # Those that experiments ask for tell more than the root, which stands first where it answers.
    paths = tuple(sorted(paths, key=lambda one: (one not in wanted, wanted.index(one) if one in wanted else 0)))
    plan = make_plan(topology, access.url, paths)
    structure = structure_of(topology, paths)
    alphabet = chosen(alphabet_of(topology, plan, written, structure, nodes_max), options.faults)
    if not alphabet.letters:
        raise SearchError("there is no fault to try", "see what `flametest init` finds of the system")
    return alphabet, structure, nodes_max


def _asked(options: SearchOptions, promise: tuple[Limit, ...], nodes_max: int) -> Asked:
    return Asked(
        promise=promise,
        faults=options.faults,
        size=options.size,
        together=1 if options.is_random else options.together,
        order="random" if options.is_random else "likeliest",
        seed=options.seed,
        nodes_max=nodes_max,
        hold_seconds=hold_seconds(promise),
        is_first_enough=options.is_first_enough,
        command=options.command,
    )


def _journal(
    options: SearchOptions, session: Session, asked: Asked, alphabet: Alphabet, structure: Structure
) -> Journal:
    """Return the account of the search: that of the one that goes on, else a new one.

    Raises:
        SearchError: the earlier search was of other faults.
    """
    letters = tuple(
        LetterTold(one.name, one.title, str(one.kind), one.part, tuple(level.words for level in one.levels), one.source)
        for one in alphabet.of(alphabet.letters)
    )
    if options.resuming:
        before = read_search(options.folder)
        if [(one.name, one.levels) for one in before.letters] != [(one.name, one.levels) for one in letters]:
            changed = sorted({one.name for one in before.letters} ^ {one.name for one in letters})
            raise SearchError(
                f"the search in {options.folder} combined other faults: {', '.join(changed[:5]) or 'others'}",
                "resume it on the system and with the experiments of then, or search from the beginning",
            )
        return Journal(options.folder, replace(before, trouble=""))
    result = SearchResult(
        schema_version=SCHEMA_VERSION,
        asked=asked,
        cluster=session.cluster.name,
        cluster_note=session.cluster.note,
        namespace=session.access.namespace,
        url=session.access.url,
        letters=letters,
        letters_left_out=alphabet.left_out,
        paths={path: tuple(sorted(parts)) for path, parts in structure.paths.items()},
        started_wall_s=time.time(),
    )
    journal = Journal(options.folder, result)
    journal.write(result)
    return journal
