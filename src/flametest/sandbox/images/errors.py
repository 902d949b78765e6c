"""Why an image cannot be had, as container runtimes put it."""

from enum import Enum

__all__ = ["PullError", "PullFailure"]


class PullFailure(Enum):
    """What kind of failure it was: the reason in the status of the container that waits."""

    PULL = "ErrImagePull"
    NEVER = "ErrImageNeverPull"
    NAME = "InvalidImageName"


class PullError(Exception):
    """An image cannot be had; the message is shown in events and in the container's status."""

    def __init__(self, message: str, failure: PullFailure = PullFailure.PULL) -> None:
        super().__init__(message)
        self.failure = failure
