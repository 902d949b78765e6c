"""The form of JUnit XML that Jenkins, GitLab and others read: testsuites, testsuite, properties, testcase.

Failed is a ``failure``; inconclusive is an ``error``, so that no server takes missing data for success.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from flametest.model.verdict import Verdict
from flametest.report.format import plain

__all__ = ["Case", "document", "suite"]

_TAGS = {Verdict.FAILED: "failure", Verdict.INCONCLUSIVE: "error"}


@dataclass(frozen=True, slots=True)
class Case:
    """A test case: its verdict, the reason for it in one line, and what else was found."""

    name: str
    verdict: Verdict
    reason: str
    text: str


def suite(
    name: str, seconds: float, cases: Sequence[Case], properties: Iterable[tuple[str, str]] = ()
) -> ElementTree.Element:
    """Return a test suite of these cases, counted."""
    found = _element("testsuite", name=name, time=_seconds(seconds))
    pairs = [_element("property", name=one, value=value) for one, value in properties]
    if pairs:
        ElementTree.SubElement(found, "properties").extend(pairs)
    for case in cases:
        _add_case(found, name, case)
    found.set("tests", str(len(cases)))
    found.set("failures", str(len(found.findall("testcase/failure"))))
    found.set("errors", str(len(found.findall("testcase/error"))))
    return found


def document(suites: Sequence[ElementTree.Element], seconds: float) -> str:
    """Return the text of a file that holds these suites."""
    root = _element("testsuites", name="flametest", time=_seconds(seconds))
    root.extend(suites)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(one.get(name, "0")) for one in suites)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_case(found: ElementTree.Element, name: str, case: Case) -> None:
    element = _element("testcase", classname=f"flametest.{name}", name=case.name)
    found.append(element)
    if case.verdict in _TAGS:
        outcome = _element(_TAGS[case.verdict], message=case.reason, type=case.verdict.value)
        outcome.text = plain(case.text)
        element.append(outcome)
    elif case.text:
        ElementTree.SubElement(element, "system-out").text = plain(case.text)


def _element(tag: str, /, **attributes: str) -> ElementTree.Element:
    return ElementTree.Element(tag, {name: plain(value) for name, value in attributes.items()})


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
