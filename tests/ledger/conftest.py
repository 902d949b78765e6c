"""A server whose outages are known, as the tests of the load have it, and ledgers that write to it."""

from pathlib import Path

import pytest

from flametest.ledger import Definition, read_definition
from tests.load.conftest import target, wait_until

__all__ = ["REPOSITORY", "SHOP", "ledger_of_the_shop", "target", "wait_until"]

REPOSITORY = Path(__file__).parents[2]
SHOP = REPOSITORY / "experiments" / "ledger.toml"


def ledger_of_the_shop(**write: object) -> Definition:
    """Return the shop's own ledger, with these entries of its [write] changed."""
    definition = read_definition(SHOP)
    assert definition is not None
    return definition.model_copy(update={"write": definition.write.model_copy(update=write)})


@pytest.fixture
def shop() -> Definition:
    return ledger_of_the_shop()
