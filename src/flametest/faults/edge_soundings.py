"""Which soundings the fault proxy is to send to show its rules, and what came of them; see `edge_proof`."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from flametest.edgeproxy.rules import Effect, Rule
from flametest.faults.edge_proof import (
    Seen,
    Volume,
    judge,
    judge_in_order,
    judge_untouched,
    judge_volume,
    needs_order,
    needs_volume,
    rate_tests,
    shows,
    soundings_in_order,
)
from flametest.faults.evidence import LATENCY_REQUESTS, Check, Plan, senders_for, sounded
from flametest.faults.protocol import Proof
from flametest.faults.proxy_switch import ProxySwitch
from flametest.faults.waiting import wait_for
from flametest.kube.resources import Object

__all__ = ["EdgeSoundings"]

ANSWER_SECONDS = 2.0
SENDERS = 2  # not more, since the system is under load as well
SENDERS_WAITING = 64  # each of them mostly waits
TRAFFIC_SECONDS_MAX = 20.0
VOLUMES_MAX = 3
VOLUME_SECONDS = 2.0
VOLUME_BYTES = 1000
HOLD_SECONDS = 0.3
ANYTHING = "flametest-sounding"  # in the place of a pattern's rest


class EdgeSoundings:
    """Soundings of the rules of one edge."""

    def __init__(self, switch: ProxySwitch, rules: Sequence[Rule], seconds_max: float) -> None:
        self._switch = switch
        self._rules = rules
        self._seconds_max = seconds_max

    @property
    def talk(self) -> str:
        """Return what the service answers to, by name; empty for nothing that is known."""
        return str(self._talk["name"])

    def direct(self) -> Seen:
        """Return what becomes of soundings that go to the service without the proxy."""
        return self._sound(requests=LATENCY_REQUESTS, senders=SENDERS, direct=True, **self._meant())

    def shown(self) -> Proof:
        """Return whether soundings show the rules."""
        rule = self._rules[0]
        if len(self._rules) == 1 and needs_volume(rule) and rule.effect.towards("response"):
            return self._shown_volume(rule.effect)
        if not any(shows(one.effect) for one in self._rules):
            return self._shown_by_traffic("no sounding shows it")
        before = self.direct()
        if set(before.ends) <= {"silent", "closed"} and not rule.effect.endings:
            return self._shown_by_traffic("the service answers no sounding")
        if needs_order(self._rules):
            return judge_in_order(self._rules, before, self._through(soundings_in_order(self._rules), 1))
        return self._shown_by_all(before)

    def untouched(self) -> Proof:
        """Return whether soundings of somebody else, or for something else, are left alone."""
        of_caller = all(rule.of_caller for rule in self._rules)
        if not of_caller and not all(rule.match.content for rule in self._rules):
            return Proof(True, "")
        request = self._meant() if of_caller else {}
        seen = self._sound(requests=LATENCY_REQUESTS, senders=SENDERS, caller=not of_caller, **request)
        return judge_untouched(self._rules, self.direct(), seen)

    def _shown_by_all(self, before: Seen) -> Proof:
        """Return what all soundings say, of which more are sent until they decide."""
        silent = any(rule.effect.silence for rule in self._rules)
        waits_ms = self._waits_ms + ANSWER_SECONDS * 1000 * silent
        senders = senders_for(waits_ms, SENDERS, SENDERS_WAITING)
        plan = Plan.of(rate_tests(self._rules), self._seconds_max, waits_ms, senders)
        direct = [before]

        def judged(seen: Seen) -> list[Check]:
            if len(seen.ends) > plan.first:  # what they are compared with is from the same time
                direct[0] += self.direct()
            return judge(self._rules, direct[0], seen)

        return sounded(plan, lambda requests: self._through(requests, senders), judged)

    def _shown_volume(self, effect: Effect) -> Proof:
        """Return whether an answer at length shows a limit; a busy machine may make it late, never early."""
        told: list[str] = []
        proof = Proof(False, "")
        for _ in range(VOLUMES_MAX):
            proof = judge_volume(effect, self._volume(effect))
            told.append(proof.evidence)
            if proof.proved:
                break
        return Proof(proof.proved, "; asked again: ".join(told))

    def _volume(self, effect: Effect) -> Volume:
        limit = effect.reset_after_bytes or effect.close_after_bytes
        paced = int(effect.bytes_per_second * VOLUME_SECONDS) if effect.bytes_per_second else 0
        seconds = VOLUME_SECONDS * 2 + (effect.delay_ms + effect.jitter_ms + effect.reset_after_ms) / 1000
        hold_seconds = effect.reset_after_ms / 1000 + HOLD_SECONDS if effect.reset_after_ms else 0
        wanted = limit + 1 if limit else paced or VOLUME_BYTES
        return self._switch.sound_volume(
            volume_bytes=wanted, answer_seconds=seconds + hold_seconds, hold_seconds=hold_seconds, **self._meant()
        )

    def _shown_by_traffic(self, reason: str) -> Proof:
        """Return whether the proxy has affected real traffic."""

        def affected() -> int:
            return int(self._switch.state()["counts"].get("affected", 0))

        seen = wait_for(affected, TRAFFIC_SECONDS_MAX) or 0
        return Proof(bool(seen), f"{reason}; the proxy affected {seen} real connections")

    def _through(self, requests: int, senders: int) -> Seen:
        return self._sound(
            requests=requests,
            senders=senders,
            answer_seconds=ANSWER_SECONDS + self._waits_ms / 1000,
            **self._meant(),
        )

    @property
    def _waits_ms(self) -> float:
        return max(rule.effect.delay_ms + rule.effect.jitter_ms for rule in self._rules)

    def _sound(self, **order: Any) -> Seen:
        return self._switch.sound(talk=self._talk, **order)

    @cached_property
    def _talk(self) -> Object:
        return self._switch.talk()

    def _meant(self) -> dict[str, Any]:
        """Return what a sounding has to be for the first rule to mean it."""
        match = self._rules[0].match
        asked: dict[str, Any] = {"header": {name: value.rstrip("*") for name, value in match.header.items()}}
        if match.method:
            asked["method"] = match.method.upper()
        if match.path:
            asked["path"] = match.path.rstrip("*") + (ANYTHING if match.path.endswith("*") else "")
        return asked
