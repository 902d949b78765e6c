"""How far a criterion moved from the baseline: the shift with its interval, beside the margin that it may move."""

from flametest.model.comparison import ComparedCriterion
from flametest.report.svg.canvas import Element, add, number, serialise
from flametest.report.svg.scales import Linear

__all__ = ["draw_shift"]

_WIDTH, _HEIGHT = 180, 26


def draw_shift(compared: ComparedCriterion, *, margin_sign: int) -> str:
    """Return the shift as a small SVG that repeats what the row says in figures; empty without a shift.

    Args:
        compared: the criterion in both runs.
        margin_sign: 1 when greater is worse, so that the margin lies to the right, else -1.
    """
    if compared.shift is None:
        return ""
    margin = compared.margin * margin_sign
    interval = compared.interval
    ends = [compared.shift, margin, *((interval.low, interval.high) if interval else ())]
    reach = max(abs(end) for end in ends) * 1.1 or 1.0
    x = Linear(-reach, reach, 4, _WIDTH - 4)
    root = Element(
        "svg",
        {
            "viewBox": f"0 0 {_WIDTH} {_HEIGHT}",
            "width": str(_WIDTH),
            "height": str(_HEIGHT),
            "aria-hidden": "true",
            "class": "shift",
        },
    )
    add(root, "path", d=f"M4 {_HEIGHT / 2}H{_WIDTH - 4}", stroke="line")
    add(root, "path", d=f"M{number(x(0))} 2V{_HEIGHT - 2}", stroke="muted", stroke_width=1.2)
    edge = f"M{number(x(margin))} 2V{_HEIGHT - 2}"
    add(root, "path", d=edge, stroke="failed", stroke_width=1.4, stroke_dasharray="3 2")
    middle = _HEIGHT / 2
    if interval is not None:
        bracket = f"M{number(x(interval.low))} {middle - 5}v10m0-5H{number(x(interval.high))}m0-5v10"
        add(root, "path", d=bracket, stroke="ink", fill="none", stroke_width=1.6)
    add(root, "circle", cx=x(compared.shift), cy=middle, r=4, fill="good", stroke="surface")
    return serialise(root)
