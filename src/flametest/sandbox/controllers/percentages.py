"""Numbers that may be percentages (IntOrString), and what Deployments and disruption budgets make of them."""

__all__ = ["fence_posts", "scaled_value"]


def scaled_value(value: int | str | None, total: int, *, round_up: bool, default: int = 0) -> int:
    """Return a whole number as it is, or so many per cent of ``total``; ``default`` for None.

    Raises:
        ValueError: the text is no percentage.
    """
    if value is None:
        return default
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError(f"not a percentage: {value!r}; expected a whole number or text such as 25%")
    # In whole numbers: a float would round 28.999999 of 29 the wrong way.
    product = int(value[:-1]) * total
    return -(-product // 100) if round_up else product // 100


def fence_posts(max_surge: int | str | None, max_unavailable: int | str | None, desired: int) -> tuple[int, int]:
    """Return how many pods a rolling update may have too many and too few.

    The surge is rounded up and the lack down; when both come to nothing, one may lack, or no update could begin.
    Formula: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
    """
    surge = scaled_value(max_surge, desired, round_up=True)
    unavailable = scaled_value(max_unavailable, desired, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable
