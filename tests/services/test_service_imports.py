"""Who may import whom among the services: each image holds one service, the shared package, and what is installed."""

import ast
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[2] / "services"
PACKAGES = {path.parent.name: path.parent for path in SERVICES.glob("*/*/__init__.py")}


def imported(package: Path) -> set[str]:
    """Return the packages that the modules of ``package`` import by their full name."""
    found = set()
    for module in package.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_service_imports_no_other_service_and_nothing_of_flametest(name: str) -> None:
    assert {"api_service", "frontend_service", "logic_service", "servicekit"} <= set(PACKAGES)
    forbidden = {*PACKAGES, "flametest"} - {name, "servicekit"}
    assert not imported(PACKAGES[name]) & forbidden


@pytest.mark.parametrize("name", ["api", "frontend", "logic"])
def test_what_a_service_imports_is_copied_into_its_image(name: str) -> None:
    dockerfile = (SERVICES / name / "Dockerfile").read_text()
    for package in imported(PACKAGES[f"{name}_service"]) & set(PACKAGES):
        assert f"COPY {PACKAGES[package].relative_to(SERVICES)} ./{package}\n" in dockerfile
