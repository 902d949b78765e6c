"""The self-test: the real prober against outages of known length, judged by the estimators that make the reports.

It runs in full by `flametest selftest`, and in short before each run, so that every report says how far its own
figures can be trusted on this machine, on this day. Everything it starts, a server and one prober a track, ends with
it. Nothing but loopback is used, and the machine's clock is never set.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from flametest.load import LoadError, Prober
from flametest.load.prober import PROBER_SAMPLES_FILE
from flametest.load.truth import KnownOutage, OutageKind, TruthServer
from flametest.measure.objectives import Objectives
from flametest.measure.planted import planted_outcomes
from flametest.measure.samples import Samples, read_samples
from flametest.measure.selftest import (
    assemble,
    case,
    felt,
    stepped_clock_is_flagged,
    stopped_prober_is_flagged,
    trial,
    undecided,
)
from flametest.model.events import ProberEnded, Stamp
from flametest.model.measures import Outage
from flametest.model.selftest import SelfTest, SelfTestCase, SelfTestTrial
from flametest.run.folder import stamp
from flametest.run.selftest_plan import SHORT, Form, Section, Track, further, plan_tracks

__all__ = [
    "SELF_TEST_FILE",
    "broken_self_test",
    "read_self_test",
    "run_self_test",
    "short_self_test",
    "write_self_test",
]

SELF_TEST_FILE = "selftest.json"
_AHEAD_SECONDS = 0.2  # until the first window's section: everyone is told by then
_STOP_AT_SECONDS = 1.0
_STOP_SECONDS = 0.3
_TELL_SECONDS = 1.0
_SECONDS_MAX = 900.0
_PLANTED_ROUNDS = {"short": 1, "full": 20}
_SELF_TEST: TypeAdapter[SelfTest] = TypeAdapter(SelfTest)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What one track left."""

    track: Track
    report: ProberEnded
    samples: Samples
    known: tuple[KnownOutage, ...]
    zero_ns: int

    @property
    def end_ns(self) -> int:
        """Return when the track was over; the server is gone soon afterwards."""
        return self.zero_ns + round(self.track.end_seconds * 1e9)


def run_self_test(
    form: Form, seed: int, saw: Callable[[str], None], until_ready: Callable[[], None] = lambda: None
) -> SelfTest:
    """Carry out a self-test and return its outcome.

    Where a kind of outage misses its targets in few trials, more are measured at once, and all of them are judged.

    Args:
        form: how thorough it is.
        seed: of its random choices.
        saw: told how far it is.
        until_ready: called before the first outage; returns when what it is to run beside is there.

    Raises:
        LoadError: the server or a prober could not be started, or died.
    """
    objectives = Objectives()
    interval = objectives.prober_interval_seconds
    begun = stamp()
    recorded, stamps = _record(plan_tracks(form, seed, interval), seed, saw, until_ready)
    trials = _trials(recorded, objectives)
    if undecided(trials, interval):
        more, _ = _record(plan_tracks(further(form), seed, interval), seed, saw)
        trials += _trials(more, objectives)
    trials.sort(key=lambda one: (form.kinds.index(OutageKind(one.kind)), one.nominal))
    cases = tuple(_cases(form, seed, recorded, stamps, objectives))
    return assemble(
        form.name,
        trials,
        cases,
        interval_seconds=interval,
        seed=seed,
        started_wall_s=begun.wall_s,
        duration_seconds=(time.monotonic_ns() - begun.monotonic_ns) / 1e9,
    )


def short_self_test(seed: int, saw: Callable[[str], None]) -> SelfTest:
    """Carry out the short self-test and return its outcome; one that could not be carried out counts as missed."""
    try:
        return run_self_test(SHORT, seed, saw)
    except LoadError as error:
        return broken_self_test(SHORT, seed, error.message)


def broken_self_test(form: Form, seed: int, reason: str) -> SelfTest:
    """Return a self-test that could not be carried out, which counts as missed."""
    cases = (case("carried_out", "The self-test could be carried out", [(False, reason)]),)
    now, interval = stamp(), Objectives().prober_interval_seconds
    return assemble(
        form.name, (), cases, interval_seconds=interval, seed=seed, started_wall_s=now.wall_s, duration_seconds=0.0
    )


def write_self_test(found: SelfTest, path: Path) -> None:
    """Write a self-test as JSON."""
    path.write_bytes(_SELF_TEST.dump_json(found, indent=1) + b"\n")


def read_self_test(path: Path) -> SelfTest | None:
    """Return what `write_self_test` wrote; None without that file, or when another version wrote it."""
    try:
        return _SELF_TEST.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _record(
    tracks: Sequence[Track], seed: int, saw: Callable[[str], None], until_ready: Callable[[], None] = lambda: None
) -> tuple[list[_Recorded], list[Stamp]]:
    """Make the outages of all tracks at once under one prober each; return the records, and stamps of both clocks."""
    interval_seconds = Objectives().prober_interval_seconds
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="flametest-selftest-")))
        windows = [track.windows for track in tracks]
        server = exits.enter_context(TruthServer(windows, seed, interval_seconds))
        probers: list[tuple[Prober, Path]] = []
        for number, url in enumerate(server.urls):
            own = folder / str(number)
            own.mkdir()
            prober = Prober(url, own, interval_seconds * 1e3, seconds_max=_SECONDS_MAX)
            probers.append((exits.enter_context(prober), own))
        for prober, _ in probers:
            prober.wait_first_samples()
        until_ready()
        zero_ns = time.monotonic_ns() + round(_AHEAD_SECONDS * 1e9)
        server.begin(zero_ns)
        stamps = _watch(tracks, [prober for prober, _ in probers], zero_ns, saw)
        known = server.finish()
        return [
            _Recorded(track, _stop(prober), _samples(own), made, zero_ns)
            for track, (prober, own), made in zip(tracks, probers, known, strict=True)
        ], stamps


def _watch(tracks: Sequence[Track], probers: Sequence[Prober], zero_ns: int, saw: Callable[[str], None]) -> list[Stamp]:
    """Wait until all tracks are over, stop the probers that are to be stopped; return stamps of both clocks."""
    end_seconds = max(track.end_seconds for track in tracks)
    to_stop = [prober for track, prober in zip(tracks, probers, strict=True) if track.is_stopped]
    stop_at, thaw_at = _STOP_AT_SECONDS, _STOP_AT_SECONDS + _STOP_SECONDS
    stamps = [stamp()]
    for moment, do in ((stop_at, Prober.freeze), (thaw_at, Prober.thaw)):
        _until(zero_ns, moment)
        for prober in to_stop:
            do(prober)
    total = sum(len(track.windows) for track in tracks)
    while (now := (time.monotonic_ns() - zero_ns) / 1e9) < end_seconds:
        saw(f"{total} known outages on {len(tracks)} ports, {end_seconds - now:.0f} s to go")
        _until(zero_ns, min(end_seconds, now + _TELL_SECONDS))
        for prober in probers:
            prober.check()
        stamps.append(stamp())
    return stamps


def _until(zero_ns: int, seconds: float) -> None:
    time.sleep(max(0.0, zero_ns / 1e9 + seconds - time.monotonic_ns() / 1e9))


def _stop(prober: Prober) -> ProberEnded:
    return ProberEnded(stamp(), "", **asdict(prober.stop()))


def _samples(folder: Path) -> Samples:
    with (folder / PROBER_SAMPLES_FILE).open(newline="") as lines:
        return read_samples(lines)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One section with what was made and what was measured."""

    section: Section
    truth_seconds: float
    outage: Outage | None


def _sections(recorded: _Recorded, objectives: Objectives) -> Iterator[_Judged]:
    known = iter(recorded.known)
    for section in recorded.track.sections:
        made = list(islice(known, len(section.windows)))
        if len(made) != len(section.windows):
            raise LoadError(
                f"the ground-truth server made {len(made)} of the {len(section.windows)} outages of a section",
                "run the self-test again on a machine that has more time",
            )
        start_ns, injected_ns, end_ns = (
            recorded.zero_ns + round(seconds * 1e9)
            for seconds in (section.start_seconds, section.injected_seconds, section.end_seconds)
        )
        own = recorded.samples.sent_between(start_ns, end_ns)
        outage = felt(own, injected_ns=injected_ns, objectives=objectives)
        yield _Judged(section, sum(one.seconds for one in made), outage)


def _trials(recorded: Sequence[_Recorded], objectives: Objectives) -> list[SelfTestTrial]:
    return [
        trial(one.section.label, one.section.nominal, one.truth_seconds, one.outage)
        for track in recorded
        if not track.track.is_stopped
        for one in _sections(track, objectives)
        if one.section.label in tuple(OutageKind)
    ]


def _cases(
    form: Form, seed: int, recorded: Sequence[_Recorded], stamps: Sequence[Stamp], objectives: Objectives
) -> Iterator[SelfTestCase]:
    judged = [one for track in recorded if not track.track.is_stopped for one in _sections(track, objectives)]
    for name, (title, judge) in _CASES.items():
        outcomes = [judge(one) for one in judged if one.section.label == name]
        if outcomes:
            yield case(name, title, outcomes)
    stopped = [
        stopped_prober_is_flagged(one.samples, one.report, until_ns=one.end_ns, objectives=objectives)
        for one in recorded
        if one.track.is_stopped
    ]
    yield case("stopped_prober", "A stopped prober is flagged, and is no downtime", stopped)
    yield case("stepped_clock", "A clock that was set is flagged, and changes no figure", [_stepped(recorded, stamps)])
    rounds = range(seed, seed + _PLANTED_ROUNDS[form.name])
    planted = [outcome for one in rounds for outcome in planted_outcomes(one)]
    yield case("planted_writes", "Planted write errors are found", planted)


def _null(one: _Judged) -> tuple[bool, str]:
    found = None if one.outage is None else one.outage.total
    return one.outage is not None and found is None, f"an outage of {found.midpoint:.2f} s" if found else "none found"


def _flapping(one: _Judged) -> tuple[bool, str]:
    if one.outage is None or one.outage.total is None:
        return False, "no outage was found"
    total, count = one.outage.total, len(one.outage.stretches)
    right = count == len(one.section.windows) and total.low <= one.truth_seconds <= total.high
    return right, f"{count} stretches, {total.midpoint:.2f} ± {total.uncertainty:.2f} s of {one.truth_seconds:.2f} s"


def _never(one: _Judged) -> tuple[bool, str]:
    if one.outage is None or one.outage.total is None:
        return False, "no outage was found"
    low = one.outage.total.low
    right = not one.outage.recovered and one.section.nominal / 2 <= low <= one.truth_seconds
    return right, f"reported as over {low:.2f} s and not ended"


_CASES: Mapping[str, tuple[str, Callable[[_Judged], tuple[bool, str]]]] = {
    "null": ("Without a fault no outage is found", _null),
    "flapping": ("An outage that comes and goes is its stretches", _flapping),
    "never": ("An outage that does not end is reported as such", _never),
}


def _stepped(recorded: Sequence[_Recorded], stamps: Sequence[Stamp]) -> tuple[bool, str]:
    track = next(one for one in recorded if one.known)
    section = next(one for one in track.track.sections if one.windows)
    injected_ns = track.zero_ns + round(section.injected_seconds * 1e9)
    return stepped_clock_is_flagged(track.samples, stamps, injected_ns=injected_ns, objectives=Objectives())
