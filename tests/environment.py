"""The environment for commands that a test starts: this one's, without what is the user's own."""

import os

__all__ = ["neutral_environment"]


def neutral_environment() -> dict[str, str]:
    """Return it without a cluster and without settings of Flametest, and with nothing built.

    A machine that has the base images of the shipped services would build these, which takes minutes.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "FLAMETEST"))}
    return kept | {"FLAMETEST_BUILD": "never"}
