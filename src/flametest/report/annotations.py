"""What failed in a junit.xml, as the annotations that GitHub shows beside a change.

    python -m flametest.report.annotations reports/ci/junit.xml

prints one workflow command a failure (error) or doubt (warning); GitHub shows ten of each kind a step, so the first ten
are followed by how many there are in all. See "Workflow commands for GitHub Actions" in GitHub's documentation.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["annotations"]

SHOWN_MAX = 10
_KINDS = {"failure": "error", "error": "warning"}


def annotations(junit: str) -> list[str]:
    """Return workflow commands for what failed, and for what is inconclusive, in the order of the file."""
    found = list(_found(ElementTree.fromstring(junit)))  # noqa: S314 (written by this program)
    lines = []
    for tag, level in _KINDS.items():
        own = [f"::{level} title={_property(title)}::{_data(message)}" for kind, title, message in found if kind == tag]
        lines += own[:SHOWN_MAX]
        if len(own) > SHOWN_MAX:
            lines.append(f"::notice::{len(own)} in all; the report has the others")
    return lines


def _found(root: ElementTree.Element) -> Iterator[tuple[str, str, str]]:
    for case in root.iter("testcase"):
        scenario = case.get("classname", "").removeprefix("flametest.")
        for outcome in case:
            if outcome.tag in _KINDS:
                yield outcome.tag, f"{scenario}: {case.get('name', '')}", outcome.get("message", "")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


if __name__ == "__main__":
    for line in annotations(Path(sys.argv[1]).read_text(encoding="utf-8")):
        print(line)
