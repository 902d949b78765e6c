"""A package whose docstring lists its modules lists all of them."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
LISTED_MIN = 3
_LINE = re.compile(r"^([a-z_]+) +\S", re.MULTILINE)


def listed(package: Path) -> set[str]:
    """Return what the docstring of a package lists, one name at the beginning of a line, by its last paragraphs."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    paragraphs = (part.splitlines() for part in text.split("\n\n")[1:])
    lists = [lines for lines in paragraphs if all(re.match(r"[a-z_]+ +\S|  ", line) for line in lines)]
    names = {found[1] for lines in lists for line in lines if (found := _LINE.match(line))}
    return names | set(re.findall(r"`([a-z_]+)`", text))


def listing_packages() -> list[Path]:
    packages = [path.parent for path in sorted(SOURCE.rglob("__init__.py"))]
    return [one for one in packages if len(listed(one) & modules(one)) >= LISTED_MIN]


def modules(package: Path) -> set[str]:
    return {path.stem for path in package.glob("*.py") if path.stem not in ("__init__", "__main__")}


@pytest.mark.parametrize("package", listing_packages(), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_package_that_lists_its_modules_lists_them_all(package: Path) -> None:
    assert modules(package) - listed(package) == set()
