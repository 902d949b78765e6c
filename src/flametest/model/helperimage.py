"""Which image the pods run that Flametest deploys beside a system: a stock Python's, unless the user names another.

No image of Flametest's own has to be had on a cluster. Another one is named where a cluster reaches no public registry.
"""

import os
from collections.abc import Mapping

__all__ = ["HELPER_IMAGE", "HELPER_IMAGE_VARIABLE", "helper_image"]

HELPER_IMAGE = "python:3.13-slim"
"""Any image with a shell, and python3 of 3.11 or newer, serves."""

HELPER_IMAGE_VARIABLE = "FLAMETEST_HELPER_IMAGE"
"""Names another one, for Flametest's commands and stock ``chaos run`` alike."""


def helper_image(environment: Mapping[str, str] | None = None) -> str:
    """Return the image of helper pods; ``environment`` is that of this process by default."""
    return (os.environ if environment is None else environment).get(HELPER_IMAGE_VARIABLE) or HELPER_IMAGE
