"""The GitHub action: its steps do what a shell makes of them, and what they type is what Flametest takes."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from flametest.report import render_junit
from flametest.report.annotations import SHOWN_MAX, annotations
from tests.patience import PATIENCE_SECONDS
from tests.report import sample_result

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
MARK = "<!-- flametest flametest-report -->"
SUMMARY = "## ❌ FAILED: resilience of shop\n"
FLAMETEST = """\
#!/bin/bash
printf '%s\\n' "$@" > "$LOG/flametest"
while [ $# -gt 0 ]; do [ "$1" = --out ] && out=$2; shift; done
mkdir -p "$out"
printf '%s' "$SUMMARY" > "$out/summary.md"
cp "$JUNIT" "$out/junit.xml"
exit "$ENDS_WITH"
"""
GH = """\
#!/bin/bash
printf '%s\\n' "$@" >> "$LOG/gh"
if [[ " $* " == *" --paginate "* ]]; then printf '%s' "$KNOWN_COMMENT"; exit; fi
cp "$RUNNER_TEMP/comment.md" "$LOG/comment"
exit "$GH_ENDS_WITH"
"""


@dataclass
class Runner:
    """A machine that runs the action's steps, with stand-ins for what is not to be run here."""

    folder: Path
    context: dict[str, str]
    environment: dict[str, str]

    @property
    def log(self) -> Path:
        """Return the folder of what stand-ins were called with."""
        return self.folder / "log"

    def run(self, **inputs: str) -> int:
        """Run all steps, as GitHub does, and return the exit code of the first that fails; 0 where none does."""
        defaults = {f"inputs.{name}": one.get("default", "") for name, one in ACTION["inputs"].items()}
        self.context |= {name: self.filled(value) for name, value in defaults.items()}
        self.context |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        failed = 0
        for step in ACTION["runs"]["steps"]:
            if "run" in step and self.is_wanted(step.get("if", ""), failed):
                failed = failed or self.shell(step)
        return failed

    def shell(self, step: Mapping[str, Any]) -> int:
        """Run a step by the command line that GitHub documents for ``shell: bash``."""
        own = {name: self.filled(value) for name, value in step.get("env", {}).items()}
        output = self.folder / "output"
        output.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            env=self.environment | own | {"GITHUB_OUTPUT": str(output)},
            cwd=self.folder / self.filled(step.get("working-directory", ".")),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        with (self.log / "printed").open("a") as printed:
            printed.write(done.stdout + done.stderr)
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.context[f"steps.{step['id']}.outputs.{name}"] = value
        return done.returncode

    def filled(self, text: str) -> str:
        """Return a text with its expressions replaced, each a name of a context."""
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: self.context.get(found[1], ""), text)

    def is_wanted(self, condition: str, failed: int) -> bool:
        """Return whether a step with such a condition runs."""
        if not condition:
            return failed == 0
        always, *others = condition.split(" && ")
        assert always == "always()"
        return all(self.holds(other) for other in others)

    def holds(self, comparison: str) -> bool:
        """Return whether ``NAME == 'VALUE'`` or ``NAME != 'VALUE'`` holds."""
        found = re.fullmatch(r"([\w.-]+) (==|!=) '([^']*)'", comparison)
        assert found is not None, comparison
        return (self.context.get(found[1], "") == found[3]) is (found[2] == "==")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    programs, log, temporary = tmp_path / "bin", tmp_path / "log", tmp_path / "temp"
    for folder in (programs, log, temporary):
        folder.mkdir()
    programs_of_venv = f'"{programs}/flametest" "{programs}/pip"'
    venv = f'#!/bin/bash\nmkdir -p "$3/bin"\ncp {programs_of_venv} "$3/bin"\nln -s "{sys.executable}" "$3/bin/python"\n'
    logged = '#!/bin/bash\nprintf \'%s\\n\' "$@" >> "$LOG/$(basename "$0")"\n'
    for name, text in {"sudo": logged, "pip": logged, "python3": venv, "gh": GH, "flametest": FLAMETEST}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    junit = tmp_path / "junit.xml"
    junit.write_text(render_junit(sample_result.failed_result()))
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT / "src"),
        "LOG": str(log),
        "RUNNER_TEMP": str(temporary),
        "GITHUB_STEP_SUMMARY": str(log / "summary"),
        "SUMMARY": SUMMARY,
        "JUNIT": str(junit),
        "ENDS_WITH": "1",
        "KNOWN_COMMENT": "",
        "GH_ENDS_WITH": "0",
    }
    context = {
        "github.token": "secret",
        "github.workspace": str(tmp_path),
        "github.action_path": str(ROOT),
        "github.event_name": "pull_request",
        "github.event.pull_request.number": "7",
        "github.repository": "shop/shop",
    }
    return Runner(tmp_path, context, environment)


def test_a_limit_that_was_missed_fails_the_job_after_everything_was_shown(runner: Runner) -> None:
    assert runner.run() == 1
    assert (runner.log / "summary").read_text() == SUMMARY
    assert (runner.log / "comment").read_text() == f"{MARK}\n{SUMMARY}"
    assert "::error title=" in (runner.log / "printed").read_text()
    assert "POST" in (runner.log / "gh").read_text()
    assert runner.context["steps.test.outputs.exit-code"] == "1"


def test_what_passes_passes(runner: Runner) -> None:
    runner.environment["ENDS_WITH"] = "0"
    assert runner.run() == 0


def test_options_are_words_as_in_a_shell(runner: Runner) -> None:
    runner.run(options="--suite full --limit 'p95_ms=900' --load-options '--tags a b'")
    assert (runner.log / "flametest").read_text().splitlines() == [
        *("run", "--out", f"{runner.folder}/flametest-report"),
        *("--suite", "full", "--limit", "p95_ms=900", "--load-options", "--tags a b"),
    ]


def test_with_a_base_the_trees_are_compared(runner: Runner) -> None:
    runner.run(base="other tree")
    assert (runner.log / "flametest").read_text().splitlines()[:3] == ["check", "--base", "other tree"]


def test_an_earlier_comment_of_the_job_is_replaced(runner: Runner) -> None:
    runner.environment["KNOWN_COMMENT"] = "4711\n4712\n"
    runner.run()
    told = (runner.log / "gh").read_text()
    assert "PATCH\nrepos/shop/shop/issues/comments/4711" in told
    assert "POST" not in told


def test_a_comment_that_may_not_be_made_is_no_failure_of_the_job(runner: Runner) -> None:
    runner.environment |= {"GH_ENDS_WITH": "1", "ENDS_WITH": "0"}
    assert runner.run() == 0
    assert "::notice::the summary cannot be posted" in (runner.log / "printed").read_text()


@pytest.mark.parametrize("where", [{"comment": "false"}, {"event": "push"}])
def test_nobody_is_written_to_where_that_is_not_wanted(runner: Runner, where: dict[str, str]) -> None:
    runner.context["github.event_name"] = where.pop("event", "pull_request")
    runner.run(**where)
    assert not (runner.log / "gh").exists()


def test_nothing_of_the_event_is_pasted_into_a_script() -> None:
    assert not [step["name"] for step in ACTION["runs"]["steps"] if "${{" in step.get("run", "")]


def test_failures_and_doubts_become_annotations_that_cannot_break_out() -> None:
    suite = ElementTree.Element("testsuite")
    for number in range(SHOWN_MAX + 2):
        case = ElementTree.SubElement(suite, "testcase", classname="flametest.a", name=f"p95: {number}")
        ElementTree.SubElement(case, "failure", message="100 %\n::error::planted")
    ElementTree.SubElement(ElementTree.SubElement(suite, "testcase", name="x"), "error", message="in doubt")
    lines = annotations(ElementTree.tostring(suite, encoding="unicode"))
    assert lines[0] == "::error title=a%3A p95%3A 0::100 %25%0A::error::planted"
    assert lines[SHOWN_MAX] == f"::notice::{SHOWN_MAX + 2} in all; the report has the others"
    assert lines[-1] == "::warning title=%3A x::in doubt"
    assert len(lines) == SHOWN_MAX + 2


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_has_nothing_to_say() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    done = subprocess.run(["actionlint", *workflows], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
