"""Which soundings the fault proxy is to send to show its rules, and what came of them; see `edge_proof`."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from flametest.edgeproxy.rules import Rule
from flametest.faults.edge_proof import (
    Seen,
    judge,
    judge_untouched,
    judge_volume,
    needs_order,
    needs_volume,
    shows,
    soundings_of,
)
from flametest.faults.protocol import Proof
from flametest.faults.proxy_switch import ProxySwitch
from flametest.faults.waiting import wait_for
from flametest.kube.resources import Object

__all__ = ["EdgeSoundings"]

ANSWER_SECONDS = 2.0
DIRECT = 20  # for a median
SENDERS = 2  # not more, since the system is under load as well
SENDERS_WAITING = 16  # each of them mostly waits
WAITING_MS = 50.0
TRAFFIC_SECONDS_MAX = 10.0
VOLUME_SECONDS = 2.0
VOLUME_BYTES = 1000
HOLD_SECONDS = 0.3
ROUNDS_MAX = 2  # an interval of 99 % misses one time in a hundred; two in a row, in ten thousand
ANYTHING = "flametest-sounding"  # in the place of a pattern's rest


class EdgeSoundings:
    """Soundings of the rules of one edge."""

    def __init__(self, switch: ProxySwitch, rules: Sequence[Rule], protocol: str) -> None:
        self._switch = switch
        self._rules = rules
        self._protocol = protocol

    @property
    def talk(self) -> str:
        """Return what the service answers to, by name; empty for nothing that is known."""
        return str(self._talk["name"])

    def direct(self) -> Seen:
        """Return what becomes of soundings that go to the service without the proxy."""
        return self._sound(requests=DIRECT, senders=SENDERS, direct=True, **self._meant())

    def shown(self) -> Proof:
        """Return whether soundings show the rules; when they hardly do, others are sent too."""
        told: list[str] = []
        proof = Proof(False, "")
        for _ in range(ROUNDS_MAX):
            proof = self._shown_once()
            told.append(proof.evidence)
            if proof.proved or needs_order(self._rules):
                break
        return Proof(proof.proved, "; asked again: ".join(told))

    def untouched(self) -> Proof:
        """Return whether soundings of somebody else, or for something else, are left alone."""
        of_caller = all(rule.of_caller for rule in self._rules)
        if not of_caller and not all(rule.match.content for rule in self._rules):
            return Proof(True, "")
        request = self._meant() if of_caller else {}
        seen = self._sound(requests=DIRECT, senders=SENDERS, caller=not of_caller, **request)
        return judge_untouched(self._rules, self.direct(), seen)

    def _shown_once(self) -> Proof:
        rule = self._rules[0]
        if len(self._rules) == 1 and needs_volume(rule) and rule.effect.towards("response"):
            return self._shown_volume(rule)
        if not any(shows(one.effect) for one in self._rules):
            return self._shown_by_traffic("no sounding shows it")
        before = self.direct()
        if set(before.ends) <= {"silent", "closed"} and not rule.effect.endings:
            return self._shown_by_traffic("the service answers no sounding")
        return judge(self._rules, before, self._through())

    def _shown_volume(self, rule: Rule) -> Proof:
        effect = rule.effect
        limit = effect.reset_after_bytes or effect.close_after_bytes
        paced = int(effect.bytes_per_second * VOLUME_SECONDS) if effect.bytes_per_second else 0
        seconds = VOLUME_SECONDS * 2 + (effect.delay_ms + effect.jitter_ms + effect.reset_after_ms) / 1000
        hold_seconds = effect.reset_after_ms / 1000 + HOLD_SECONDS if effect.reset_after_ms else 0
        wanted = limit + 1 if limit else paced or VOLUME_BYTES
        volume = self._switch.sound_volume(
            volume_bytes=wanted, answer_seconds=seconds + hold_seconds, hold_seconds=hold_seconds, **self._meant()
        )
        return judge_volume(effect, volume)

    def _shown_by_traffic(self, reason: str) -> Proof:
        """Return whether the proxy has affected real traffic."""

        def affected() -> int:
            return int(self._switch.state()["counts"].get("affected", 0))

        seen = wait_for(affected, TRAFFIC_SECONDS_MAX) or 0
        return Proof(bool(seen), f"{reason}; the proxy affected {seen} real connections")

    def _through(self) -> Seen:
        effects = [rule.effect for rule in self._rules]
        waits_ms = max(effect.delay_ms + effect.jitter_ms for effect in effects)
        waiting = waits_ms >= WAITING_MS or any(effect.silence for effect in effects)
        return self._sound(
            requests=soundings_of(self._rules),
            senders=1 if needs_order(self._rules) else SENDERS_WAITING if waiting else SENDERS,
            answer_seconds=ANSWER_SECONDS + waits_ms / 1000,
            **self._meant(),
        )

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
