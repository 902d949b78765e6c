"""A scenario that was repeated alone, in words that all renderers share."""

from flametest.model.result import FirstAttempt

__all__ = ["repeated_words"]


def repeated_words(attempt: FirstAttempt) -> str:
    """Return why a scenario was repeated, and where its first attempt is."""
    return (
        f"repeated alone: alongside other scenarios it was inconclusive ({attempt.reason}); "
        f"that attempt is kept in {attempt.folder}"
    )
