"""The folder that is written: its texts, from a plan, and how they come to disk without anything being lost."""

import importlib.resources
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomlkit

from flametest.model.consent import CONSENT_LABEL, CONSENT_VALUE
from flametest.model.limits import LIMITS_FILE
from flametest.model.plurals import counted
from flametest.starter.documents import document
from flametest.starter.errors import StarterError
from flametest.starter.experiments import DEFAULT_LIMITS
from flametest.starter.plan import Plan
from flametest.starter.weakness import Weakness

__all__ = ["Written", "project_files", "write_project"]

DEFAULT_CLUSTER = "sandbox"  # what the commands take when none is named
_VERSIONS_MAX = 999
_PATHS_LINE = 'PATHS = {"/": 1}\n'
_MAIN_PATH_WEIGHT = 3


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing: names below the folder that are new or changed, and where former versions are kept."""

    files: tuple[str, ...]
    kept: tuple[Path, ...]


def project_files(plan: Plan, weaknesses: Iterable[Weakness], cluster: str) -> dict[str, str]:
    """Return the texts of the folder by their names below it.

    Args:
        plan: what tests the system.
        weaknesses: those that were found, for the README.
        cluster: the value of ``--cluster`` for the next commands.
    """
    experiments = {
        f"experiments/{one.name}.json": json.dumps(document(one), indent=2, ensure_ascii=False) + "\n"
        for one in plan.experiments
    }
    return experiments | {
        "experiments/suites.toml": _suites(plan),
        f"experiments/{LIMITS_FILE}": _limits(plan),
        "loadtests/locustfile.py": _locustfile(plan.paths),
        "README.md": _readme(plan, tuple(weaknesses), cluster),
    }


def write_project(
    folder: Path, files: Mapping[str, str], *, force: bool, elsewhere: str = "name another folder with --out"
) -> Written:
    """Write the texts below ``folder``; a file that has its text already is left alone.

    With ``force`` a file that differs is kept under a numbered name beside the new one, as in ``limits.toml.~1~``.
    ``elsewhere`` is how users name another folder.

    Raises:
        StarterError: files differ, without ``force``; then nothing was written. Or the folder cannot be written.
    """
    try:
        changed = {name: text for name, text in files.items() if _differs(folder / name, text)}
        present = [name for name in changed if (folder / name).exists()]
        if present and not force:
            more = f" and {counted(len(present) - 3, 'file')} more" if len(present) > 3 else ""
            raise StarterError(
                f"{folder} holds other versions of {', '.join(present[:3])}{more}; nothing was written",
                f"{elsewhere}, or add --force, which keeps them as NAME.~1~",
            )
        kept = [_set_aside(folder / name) for name in present]
        for name, text in changed.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StarterError(f"{error.filename or folder} cannot be written: {error.strerror}", elsewhere) from error
    return Written(tuple(changed), tuple(kept))


def _differs(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() != text.encode()
    except FileNotFoundError:
        return True


def _set_aside(path: Path) -> Path:
    """Rename a file to the first number that is free, and return its new path."""
    for number in range(1, _VERSIONS_MAX + 1):
        aside = path.with_name(f"{path.name}.~{number}~")
        if not aside.exists():
            return path.rename(aside)
    raise StarterError(f"{path} has {_VERSIONS_MAX} former versions already", "remove those that nobody needs")


def _suites(plan: Plan) -> str:
    names = [one.name for one in plan.experiments]
    return (
        "# Which experiments `flametest run --suite NAME` runs, in this order. A name is a file of this folder.\n\n"
        f"[core]\nexperiments = {_toml_list(plan.core)}\n\n[full]\nexperiments = {_toml_list(names)}\n"
    )


def _limits(plan: Plan) -> str:
    tables = [("default", DEFAULT_LIMITS), *((one.name, one.limits) for one in plan.experiments if one.limits)]
    return (
        "# What each experiment promises: `flametest run` exits with 1 when one is missed, and stock `chaos run`\n"
        "# judges by them too. These are FIRST GUESSES: set what your users can bear. When a run has passed,\n"
        "# `flametest init --tighten reports/latest` proposes limits from what it measured. A table takes the place\n"
        "# of the defaults, by criterion; false lifts one. Seconds and availability count from the injection.\n\n"
    ) + "\n".join(f"[{tomlkit.key(name).as_string()}]\n{_numbers(limits)}" for name, limits in tables)


def _numbers(limits: Mapping[str, float]) -> str:
    return "".join(f"{criterion} = {value:g}\n" for criterion, value in limits.items())


def _toml_list(names: Iterable[str]) -> str:
    return "[" + "".join(f"\n  {tomlkit.string(name).as_string()}," for name in names) + "\n]"


def _locustfile(paths: tuple[str, ...]) -> str:
    """Return the load test, which is a module of this room, with other paths."""
    text = importlib.resources.files("flametest.starter").joinpath("visitors.py").read_text(encoding="utf-8")
    weights = {path: _MAIN_PATH_WEIGHT if path == paths[0] and len(paths) > 1 else 1 for path in paths}
    return text.replace(_PATHS_LINE, f"PATHS = {json.dumps(weights, ensure_ascii=False)}\n")


def _readme(plan: Plan, weaknesses: tuple[Weakness, ...], cluster: str) -> str:
    system = plan.topology.system
    where = f"--cluster {shlex.quote(cluster)} " if cluster != DEFAULT_CLUSTER else ""
    url = shlex.quote(plan.url) if plan.url else "URL"
    target = f"{where}--no-deploy --namespace {system.namespace} --url {url}"
    label = f"kubectl label namespace {system.namespace} {CONSENT_LABEL}={CONSENT_VALUE}"
    consent = (
        "It carries the label already by which it allows faults."
        if system.consents
        else f"Allow faults there, once; without this label Flametest injects none:\n\n    {label}"
    )
    rows = "".join(f"| `{one.name}` | {one.title} | `{one.path}` |\n" for one in plan.experiments)
    return f"""# Resilience tests of namespace {system.namespace}

Written by `flametest init` from the {system.origin}. All of it is yours to change.

{consent}

From this folder, with the system running{"" if plan.url else ", and the address where users enter as URL"}:

    flametest run {target} --suite core
    flametest run {target} --experiment experiments/{plan.core[0]}.json

`--dry-run` shows what each fault would hit, and injects nothing. The report is `reports/latest/report.html`.

With stock Chaos Toolkit and Locust, KUBECONFIG and KUBERNETES_CONTEXT naming the cluster, and that context in
`allowed-contexts.toml` (`flametest env` prints the variables):

    export FLAMETEST_NAMESPACE={system.namespace} FLAMETEST_URL={url}
    chaos run experiments/{plan.core[0]}.json
    locust -f loadtests/locustfile.py --headless --host "$FLAMETEST_URL" -u 20 -r 5 -t 60s

| Experiment | What it claims | Asks for |
|---|---|---|
{rows}
What hits a part that a path does not need is not felt. Name another one as `path` in the arguments of the experiment's
recorder, or all of them by `flametest init --path`.

`experiments/limits.toml` says by which figures each claim is judged; they are first guesses, and
`flametest init --tighten reports/latest` proposes closer ones after a run that passed. `experiments/suites.toml` says
which run together.
{_not_written(plan)}
## Weaknesses that can be seen without an experiment

{_bullets(weaknesses)}"""


def _not_written(plan: Plan) -> str:
    """Return what has no experiment, and why; empty when all has."""
    lines = "".join(f"- {told[:1].upper()}{told[1:]}.\n" for told in plan.left_out)
    return f"\nWhat was not written:\n\n{lines}" if lines else ""


def _bullets(weaknesses: tuple[Weakness, ...]) -> str:
    if not weaknesses:
        return "None that `flametest init` knows of.\n"
    return "".join(
        f"- **{one.severity}**, {one.part} ({one.rule}): {one.evidence}. Advice: {one.advice}.\n" for one in weaknesses
    )
