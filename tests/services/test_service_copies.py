"""Services share no code at run time: each folder is all that its image needs. What they have in common is copied,
and here kept from drifting apart.
"""

from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[2] / "services"


@pytest.mark.parametrize("module", ["__main__", "connections", "dependencies", "faults", "logs", "middleware"])
def test_what_services_have_in_common_is_the_same_in_each(module: str) -> None:
    copies = list(SERVICES.glob(f"*/*_service/{module}.py"))
    assert len(copies) >= 2
    assert len({copy.read_text() for copy in copies}) == 1
