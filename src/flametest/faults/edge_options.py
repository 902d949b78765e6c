"""Which options of an edge make sense together, and can be proved. Pure."""

from collections.abc import Sequence

from flametest.edgeproxy.rules import Rule, RuleError
from flametest.faults.edge_proof import needs_order, rates_of, shows_singly
from flametest.faults.errors import FaultError
from flametest.faults.odds import RATE_MIN, can_be_shown

__all__ = ["check_options"]


def check_options(rules: Sequence[Rule], protocol: str, seconds_max: float) -> None:
    """Return if the options make sense.

    Raises:
        FaultError: they do not; the message names the option.
    """
    if protocol not in ("tcp", "http"):
        raise FaultError(f"protocol {protocol!r}: expected tcp or http")
    if not 0 < seconds_max <= 3600:
        raise FaultError(f"seconds_max {seconds_max:g}: expected more than 0 and at most 3600 s")
    if not rules:
        raise FaultError("nothing is to be injected", "give an effect, such as delay_ms")
    try:
        for rule in rules:
            rule.check(protocol)
    except RuleError as error:
        raise FaultError(str(error)) from error
    if needs_order(rules) and not shows_singly(rules[0].effect):
        raise FaultError(
            f"{rules[0].effect}: the few requests that first or every affect cannot distinguish this from chance",
            "give a delay_ms as well, or a share instead of first and every",
        )
    if not needs_order(rules) and not all(map(can_be_shown, rates_of(rules))):
        raise FaultError(
            f"a share below {RATE_MIN:g}, or as near to 1, takes more requests to be proved than are sent",
            "choose another share, or a rule by first or every",
        )
