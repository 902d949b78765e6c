"""What the Job of a project is: its experiments, the rights that they need, and the entry as pods have it.

Reads the project's files and asks no cluster, so that what is printed can be reviewed, and applied by somebody else.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flametest.clusters import ENTRY_PORT, Access
from flametest.clusters.entry import entry_service
from flametest.clusters.incluster import IN_CLUSTER
from flametest.incluster.manifest import IMAGE, JobOptions, job_manifests
from flametest.ledger import read_definition
from flametest.manifests import Manifest
from flametest.run.experiment import load_experiment, named_file, refuse_equal_names, suite_files
from flametest.run.needs import Needs, Plan, experiment_needs, ledger_needs, together
from flametest.run.project import Project, ProjectError

__all__ = ["JobPlan", "JobWish", "plan_job"]

_KEY = re.compile(r"[-._a-zA-Z0-9]+")  # of a ConfigMap
_DATA_BYTES_MAX = 1_000_000  # an API server takes objects of up to 1.5 MiB, a ConfigMap of 1 MiB


@dataclass(frozen=True, slots=True)
class JobWish:
    """What is asked for.

    Attributes:
        suite: suite of experiments/suites.toml; not looked at when experiments are named.
        experiments: experiment files.
        namespace: of the system.
        url: its entry as pods have it; empty to read it from the project's manifests.
        run_arguments: further arguments of ``flametest run``.
        abort_when: harm limits of the run.
        image: of Flametest.
        helper_image: of the pods that faults deploy beside the system; empty for the default one.
    """

    suite: str
    experiments: tuple[Path, ...]
    namespace: str
    url: str = ""
    run_arguments: tuple[str, ...] = ()
    abort_when: tuple[str, ...] = ()
    image: str = IMAGE
    helper_image: str = ""


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What is applied, and the rights in it with what each is for."""

    manifests: tuple[Manifest, ...]
    needs: Needs


def plan_job(wish: JobWish, project: Project) -> JobPlan:
    """Return the Job for a project.

    Raises:
        FlametestError: an experiment, the suite or the entry cannot be found, or the files are too large for the API.
    """
    files = [named_file(project, one) for one in wish.experiments] or suite_files(project, wish.suite)
    url = wish.url or _entry(project, wish.namespace)
    ledger = None if "--no-ledger" in wish.run_arguments else read_definition(project.ledger_file)
    plan = Plan(tuple(load_experiment(file) for file in files), ledger=ledger)
    refuse_equal_names(plan.experiments)
    access = Access(Path(), IN_CLUSTER, url, wish.namespace)
    needs = together(experiment_needs(plan, access), ledger_needs(plan))
    chosen = ["--suite", wish.suite]
    if wish.experiments:
        chosen = [word for file in files for word in ("--experiment", f"experiments/{file.name}")]
    helper = ("--helper-image", wish.helper_image) if wish.helper_image else ()
    harm = [word for limit in wish.abort_when for word in ("--abort-when", limit)]
    options = JobOptions(
        namespace=wish.namespace,
        url=url,
        run_arguments=(*chosen, *helper, *harm, *wish.run_arguments),
        experiments=_texts([*files, project.suites_file, project.limits_file, project.ledger_file]),
        locustfile=project.locustfile.read_text(encoding="utf-8"),
        key=secrets.token_urlsafe(16),
        image=wish.image,
    )
    return JobPlan(tuple(job_manifests(options, needs)), needs)


def _texts(files: Sequence[Path]) -> dict[str, str]:
    texts = {file.name: file.read_text(encoding="utf-8") for file in files if file.exists()}
    for name in texts:
        if not _KEY.fullmatch(name):
            raise ProjectError(
                f"{name!r} cannot be the name of a file in a ConfigMap", "use letters, digits, '-', '_' and '.'"
            )
    if sum(len(text.encode()) for text in texts.values()) > _DATA_BYTES_MAX:
        raise ProjectError("the experiments are larger than the 1 MB that a ConfigMap holds", "choose fewer of them")
    return texts


def _entry(project: Project, namespace: str) -> str:
    """Return the address at which pods find the entry that the project's manifests declare."""
    services = [
        one.object
        for one in project.read().manifests
        if one.kind == "Service" and one.namespace_in(namespace) == namespace
    ]
    service = entry_service(services, ENTRY_PORT)
    if service is None:
        raise ProjectError(
            f"no Service of namespace {namespace!r} in {project.manifests} is an entry: none of type NodePort or "
            "LoadBalancer",
            f"name it as pods have it, such as --url http://NAME.{namespace}.svc",
        )
    port = int(service["spec"]["ports"][0]["port"])
    return f"http://{service['metadata']['name']}.{namespace}.svc{'' if port == 80 else f':{port}'}"
