"""Where the files of the system under test lie: manifests, experiments, load tests, reports."""

import contextlib
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flametest.ledger import LEDGER_DEFINITION
from flametest.manifests import BuildContext, Reading, build_kustomization, find_contexts, images_of, read_manifests
from flametest.model.errors import FlametestError
from flametest.model.limits import LIMITS_FILE

__all__ = ["Project", "ProjectError", "build_contexts", "find_project", "nearest_project"]

IMAGES_FILE = "images.toml"
_SUFFIXES = (".yaml", ".yml", ".json")
_FOLDERS = ("k8s", "kubernetes", "kube", "deploy", "deployment", "deployments", "manifests", "base")
_FILES_LOOKED_AT_MAX = 200
_PARENTS_MAX = 3  # manifests/overlays/NAME belongs to manifests/
_OBJECT = tuple(re.compile(rb'(?:^|[{,])\s*"?%s"?\s*:' % key, re.MULTILINE) for key in (b"apiVersion", b"kind"))


class ProjectError(FlametestError):
    """Files of the project, or of an earlier run, that cannot be used."""


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with manifests/, experiments/ and loadtests/.

    One without manifests tests a system that is deployed already; one without experiments is there to be deployed.

    Attributes:
        root: the folder.
        sources: files and folders of manifests that were named; none for those of ``manifests/``.
        kustomization: the folder of a kustomization, which takes their place.
        is_shipped: whether it is the system that Flametest ships, which nobody has asked for.
    """

    root: Path
    sources: tuple[Path, ...] = ()
    kustomization: Path | None = None
    is_shipped: bool = False

    @property
    def manifests(self) -> Path:
        """Return the folder of the manifests."""
        return self.root / "manifests"

    @property
    def images_file(self) -> Path | None:
        """Return the file that names each image's build context; None when there is none.

        Beside manifests that were named it is looked for with them, and in the folders above that they belong to.
        """
        named = [self.kustomization] if self.kustomization is not None else list(self.sources)
        folders = [one if one.is_dir() else one.parent for one in named]
        near = [
            folder for one in folders for folder in (one, one / "manifests", *one.absolute().parents[:_PARENTS_MAX])
        ]
        candidates = (folder / IMAGES_FILE for folder in near or [self.manifests])
        return next((file for file in candidates if file.is_file()), None)

    @property
    def experiments(self) -> Path:
        """Return the folder of the experiments."""
        return self.root / "experiments"

    @property
    def suites_file(self) -> Path:
        """Return the file that names the experiments of each suite."""
        return self.experiments / "suites.toml"

    @property
    def limits_file(self) -> Path:
        """Return the file of limits, scenario by scenario."""
        return self.experiments / LIMITS_FILE

    @property
    def ledger_file(self) -> Path:
        """Return the file that says which requests write; there may be none."""
        return self.experiments / LEDGER_DEFINITION

    @property
    def locustfile(self) -> Path:
        """Return the load test."""
        return self.root / "loadtests" / "locustfile.py"

    @property
    def reports(self) -> Path:
        """Return the folder that holds one folder a run."""
        return self.root / "reports"

    @property
    def is_tested(self) -> bool:
        """Return whether experiments go with what is deployed, which then has to have an entry."""
        return not self.sources and self.kustomization is None and self.experiments.is_dir()

    def read(self) -> Reading:
        """Return the objects to deploy.

        Raises:
            ProjectError: it has no folder of manifests.
            ManifestError: there are none, or one cannot be read.
        """
        if self.kustomization is not None:
            return build_kustomization(self.kustomization)
        if not self.sources and not self.manifests.is_dir():
            raise ProjectError(
                f"{self.root} has no manifests/",
                "test what is deployed already with --no-deploy, or `flametest up DIR`",
            )
        return read_manifests(*(self.sources or (self.manifests,)))


def build_contexts(project: Project, reading: Reading) -> list[BuildContext]:
    """Return what the images of manifests are built from, as far as that is found and no images.toml says it."""
    known: set[str] = set()
    if project.images_file is not None:
        # What is wrong with it is told by the cluster that uses it.
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            content = tomllib.loads(project.images_file.read_text(encoding="utf-8"))
            known = {str(one.get("name")) for one in content.get("image", [])}
    sources = (project.kustomization,) if project.kustomization is not None else project.sources
    images = [one for one in images_of(reading.manifests) if one not in known]
    return find_contexts(images, sources or (project.manifests,))


def find_project(start: Path, installed: Path) -> Project:
    """Return the project that ``start`` or a folder above it belongs to, else the one that an installation lies in.

    Args:
        start: usually the working directory.
        installed: this package's folder; an editable installation lies inside its checkout.

    Raises:
        ProjectError: no folder of a project was found, or one that is meant as such and is none.
    """
    project = _around(start)
    if project is not None:
        return project
    _check_nothing_is_meant(start)
    for folder in installed.parents:
        if _is_deployable(Project(folder)):
            return Project(folder, is_shipped=True)
    raise ProjectError(
        f"no folder with manifests/ or experiments/ in {start} or above",
        "name your manifests by `flametest up DIR`; or make a project by `flametest new DIR`, and work in it",
    )


def nearest_project(start: Path) -> Project:
    """Return the project that ``start`` belongs to, or ``start`` itself: for what needs none of its files."""
    return _around(start) or Project(start)


def _around(start: Path) -> Project | None:
    projects = (Project(folder) for folder in (start, *start.parents))
    return next((one for one in projects if _is_deployable(one) or _is_testable(one)), None)


def _check_nothing_is_meant(start: Path) -> None:
    """Make sure that nobody's own system is passed over in favour of another one.

    Raises:
        ProjectError: there are manifests or experiments here.
    """
    found = next(_own_manifests(start), None)
    if found is not None:
        raise ProjectError(
            f"{start} is no project, but {found} holds manifests", f"deploy them by `flametest up {found.parent}`"
        )
    if (start / "experiments").is_dir():
        raise ProjectError(
            f"{start} has experiments/, but neither manifests/ nor loadtests/locustfile.py",
            "add what is missing, or have `flametest init` write it",
        )


def _own_manifests(start: Path) -> Iterator[Path]:
    folders = [Path(), *(Path(name) for name in _FOLDERS)]
    files = (folder / name for folder in folders for name in _names(start / folder))
    for number, path in enumerate(one for one in files if one.name.endswith(_SUFFIXES)):
        if number >= _FILES_LOOKED_AT_MAX:
            return
        try:
            content = (start / path).read_bytes()
        except OSError:
            continue
        if all(pattern.search(content) for pattern in _OBJECT):
            yield path


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _is_deployable(project: Project) -> bool:
    if not project.manifests.is_dir():
        return False
    if project.experiments.is_dir() or project.images_file is not None:
        return True
    return any(path.suffix in _SUFFIXES for path in project.manifests.rglob("*"))


def _is_testable(project: Project) -> bool:
    return project.experiments.is_dir() and project.locustfile.is_file()
