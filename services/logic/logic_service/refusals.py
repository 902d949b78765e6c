"""What the service refuses although everything works: the reason is part of its interface."""

__all__ = ["RefusedError"]


class RefusedError(Exception):
    """A request that is not carried out.

    Attributes:
        status: HTTP status of the answer.
        reason: one word for programs, for example ``sold_out``.
        message: a sentence for people.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
