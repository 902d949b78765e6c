"""The plan of a self-test: which known outages are made when, on which port of the ground-truth server. Pure.

A track is one port with one prober. It is a sequence of sections, each a stretch of good answers, the outage, and
good answers again; a section is later judged as if a fault had been injected shortly before its outage.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from flametest.load.truth import OutageKind, OutageWindow
from flametest.measure.selftest import TRIALS_MIN

__all__ = ["FULL", "SHORT", "Form", "Section", "Track", "at_once", "further", "plan_tracks"]

_LEAD_SECONDS = 0.7  # good answers before a fault: what ε is taken from
_INJECTED_SECONDS = 0.1  # how long before its outage a fault is injected
_TAIL_SECONDS = 0.35  # good answers after an outage, which show its end
_NULL_SECONDS = 2.0
_FLAPS = 4
_FLAP_SECONDS = 0.3
_NEVER_SECONDS = 3.0  # how much of an outage without an end is watched
_ENDLESS_SECONDS = 3600.0
_FURTHER_TRACKS_MIN = 8


@dataclass(frozen=True, slots=True)
class Form:
    """How thorough a self-test is.

    Attributes:
        name: ``short`` or ``full``.
        kinds: kinds of outage.
        lengths: nominal lengths, in seconds.
        repeats: trials of each kind and length.
        nulls: sections without an outage.
        stopped: probers that are stopped for 300 ms, each on a track of its own.
        flapping: sections whose outage comes and goes.
        never: tracks whose outage does not end.
        tracks: ports over which the sections are spread.
        spread_intervals: width of the drawn deviation from the nominal length, in intervals of the prober. How far a
            length is from a multiple of the interval decides over the error, so the full form draws any.
    """

    name: str
    kinds: tuple[OutageKind, ...]
    lengths: tuple[float, ...]
    repeats: int
    nulls: int
    stopped: int
    flapping: int
    never: int
    tracks: int
    spread_intervals: float


SHORT = Form(
    name="short",
    kinds=(OutageKind.STATUS_503, OutageKind.REFUSED, OutageKind.HANGING),
    # Half an interval off a multiple of it: on the multiple itself, the phase decides over a whole interval of error.
    lengths=(0.275, 1.025),
    repeats=1,
    nulls=1,
    stopped=1,
    flapping=0,
    never=0,
    tracks=4,
    spread_intervals=0.0,
)
"""Before each run: a few seconds."""

FULL = Form(
    name="full",
    kinds=tuple(OutageKind),
    lengths=(0.25, 1.0, 5.0, 20.0),
    repeats=13,
    nulls=20,
    stopped=5,
    flapping=5,
    never=3,
    tracks=10,
    spread_intervals=1.0,
)
"""`flametest selftest`: 208 known outages, in a few minutes."""


def at_once(form: Form, count: int) -> Form:
    """Return a form that does what ``count`` self-tests of this form do, at the same time."""
    return replace(
        form,
        repeats=form.repeats * count,
        nulls=form.nulls * count,
        stopped=form.stopped * count,
        flapping=form.flapping * count,
        never=form.never * count,
        tracks=form.tracks * count,
    )


def further(form: Form) -> Form:
    """Return the outages that are measured in addition where those of a form were too few to judge a target by."""
    return replace(
        form,
        repeats=math.ceil(TRIALS_MIN / len(form.lengths)),
        nulls=0,
        stopped=0,
        flapping=0,
        never=0,
        tracks=max(form.tracks, _FURTHER_TRACKS_MIN),
        spread_intervals=FULL.spread_intervals,
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a track; seconds count from the beginning of the server's windows.

    Attributes:
        label: the kind of outage, or ``null``, ``flapping`` or ``never``.
        nominal: the length that was asked for; 0 without an outage.
        start_seconds: where it begins.
        injected_seconds: when a fault is said to be injected.
        end_seconds: where it ends.
        windows: its outages.
    """

    label: str
    nominal: float
    start_seconds: float
    injected_seconds: float
    end_seconds: float
    windows: tuple[OutageWindow, ...]


@dataclass(frozen=True, slots=True)
class Track:
    """One port with one prober; ``is_stopped`` tells that its prober is stopped for a while."""

    sections: tuple[Section, ...]
    is_stopped: bool = False

    @property
    def windows(self) -> tuple[OutageWindow, ...]:
        """Return all outages, earliest first."""
        return tuple(window for section in self.sections for window in section.windows)

    @property
    def end_seconds(self) -> float:
        """Return where it ends."""
        return self.sections[-1].end_seconds


def plan_tracks(form: Form, seed: int, interval_seconds: float) -> tuple[Track, ...]:
    """Return the tracks of one self-test, each section with a random phase, drawn from ``seed``."""
    chance = random.Random(seed)  # noqa: S311 (chance that can be repeated)
    wanted = list(_wanted(form))
    chance.shuffle(wanted)
    shares: list[list[tuple[str, float]]] = [[] for _ in range(form.tracks)]
    lengths = [0.0] * form.tracks
    # The longest first, each where there is least yet, makes tracks of about the same length.
    for label, seconds in sorted(wanted, key=lambda one: -one[1]):
        shortest = lengths.index(min(lengths))
        shares[shortest].append((label, seconds))
        lengths[shortest] += _span(label, seconds)
    for share in shares:
        chance.shuffle(share)
    spread = form.spread_intervals * interval_seconds
    mixed = [_track(share, chance, interval_seconds, spread) for share in shares if share]
    never = [_track([("never", _NEVER_SECONDS)], chance, interval_seconds, spread) for _ in range(form.never)]
    stopped = [
        Track(_track([("null", _NULL_SECONDS)], chance, interval_seconds, spread).sections, is_stopped=True)
        for _ in range(form.stopped)
    ]
    return (*mixed, *never, *stopped)


def _wanted(form: Form) -> Iterator[tuple[str, float]]:
    for kind in form.kinds:
        for length in form.lengths:
            yield from [(kind.value, length)] * form.repeats
    yield from [("null", _NULL_SECONDS)] * form.nulls
    yield from [("flapping", _FLAPS * 2 * _FLAP_SECONDS)] * form.flapping


def _track(
    share: Sequence[tuple[str, float]], chance: random.Random, interval_seconds: float, spread_seconds: float
) -> Track:
    sections: list[Section] = []
    at = 0.0
    for label, seconds in share:
        phase = chance.uniform(0.0, interval_seconds)
        length = seconds + chance.uniform(-spread_seconds / 2, spread_seconds / 2)
        sections.append(_section(label, seconds, length, at, phase))
        at = sections[-1].end_seconds
    return Track(tuple(sections))


def _section(label: str, nominal: float, length: float, at: float, phase: float) -> Section:
    start = at + _LEAD_SECONDS + phase
    windows: tuple[OutageWindow, ...]
    if label == "null":
        windows = ()
    elif label == "flapping":
        windows = tuple(
            OutageWindow(OutageKind.STATUS_503, start + 2 * flap * _FLAP_SECONDS, _FLAP_SECONDS)
            for flap in range(_FLAPS)
        )
    elif label == "never":
        windows = (OutageWindow(OutageKind.STATUS_503, start, _ENDLESS_SECONDS),)
    else:
        windows = (OutageWindow(OutageKind(label), start, length),)
    shown = nominal if windows else 0.0
    return Section(label, shown, at, start - _INJECTED_SECONDS, start + length + _TAIL_SECONDS, windows)


def _span(label: str, seconds: float) -> float:
    return _LEAD_SECONDS + seconds + _TAIL_SECONDS
