"""How the whole suite is cut: folders are run side by side, measured times alone, exhaustive matrices on request.

    measured     asserts what was measured on a running system; nothing else may run beside it
    exhaustive   the same behaviour with every fault and every way of ending; `nox -s exhaustive` runs these

Folders stay together when the suite is run by several workers: each has one sandbox at an address of its own.
"""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # the workers' scheduler reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a folder on one worker."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        item.add_marker(pytest.mark.xdist_group(folder))
