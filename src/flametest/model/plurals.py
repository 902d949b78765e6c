"""Counts in words: the one place that knows that one of them is singular."""

__all__ = ["all_of", "counted", "plural", "were"]


def counted(number: int, noun: str) -> str:
    """Return a count with its noun, whose plural ends in s or es: "1 pod", "2 pods", "2 processes"."""
    return f"{number} {noun if number == 1 else plural(noun)}"


def all_of(number: int, noun: str) -> str:
    """Return all of so many: "the only pod", "all 2 pods"."""
    return f"the only {noun}" if number == 1 else f"all {number} {plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a noun, which ends in s or es."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def were(number: int) -> str:
    """Return the verb for so many: "was" or "were"."""
    return "was" if number == 1 else "were"
