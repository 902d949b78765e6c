"""The workflow and the pages that tell users what to type hold commands that the command line knows."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from flametest.cli.main import main

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "resilience.yml"
PAGES = (WORKFLOW, ROOT / "docs" / "ci.md", ROOT / "docs" / "minikube.md")


def commands(page: Path) -> Iterator[list[str]]:
    """Yield every ``flametest`` command of a page, without its comment."""
    for line in page.read_text().splitlines():
        if found := re.match(r"\s*(?:\$|-|- run:|run:)? ?flametest ([a-z].*)", line):
            yield shlex.split(found[1], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_one_that_flametest_knows(page: Path) -> None:
    found = list(commands(page))
    assert found
    for name, *arguments in found:
        command = main.commands[name]
        context = click.Context(command, info_name=name)
        command.make_parser(context).parse_args(list(arguments))


@pytest.fixture
def jobs() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    assert content["permissions"] == {"contents": "read"}
    found: dict[str, Any] = content["jobs"]
    return found


@pytest.mark.parametrize("job", ["sandbox", "minikube"])
def test_a_job_keeps_its_report_and_summary_also_when_a_limit_was_missed(jobs: dict[str, Any], job: str) -> None:
    steps = jobs[job]["steps"]
    (summary,) = (step for step in steps if "GITHUB_STEP_SUMMARY" in step.get("run", ""))
    (report,) = (step for step in steps if step.get("uses", "").startswith("actions/upload-artifact@"))
    assert summary["if"] == report["if"] == "always()"
    assert "reports/ci" in report["with"]["path"]
    assert jobs[job]["timeout-minutes"] <= 60
    assert all(step.get("uses", "actions/").startswith("actions/") for step in steps)


def test_the_minikube_job_checks_what_it_downloads_and_removes_the_cluster(jobs: dict[str, Any]) -> None:
    steps = jobs["minikube"]["steps"]
    (installation,) = (step["run"] for step in steps if "minikube-linux-amd64" in step.get("run", ""))
    assert "sha256sum --check" in installation
    assert "--delete" in steps[-1]["run"]
    assert steps[-1]["if"] == "always()"
