"""Where the files of the system under test lie: manifests, experiments, load tests, reports."""

from dataclasses import dataclass
from pathlib import Path

from flametest.manifests import Reading, read_manifests
from flametest.model.errors import FlametestError
from flametest.model.limits import LIMITS_FILE

__all__ = ["Project", "ProjectError", "find_project"]


class ProjectError(FlametestError):
    """Files of the project, or of an earlier run, that cannot be used."""


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with manifests/, experiments/ and loadtests/.

    One without manifests tests a system that is deployed already; one without experiments is there to be deployed.
    """

    root: Path

    @property
    def manifests(self) -> Path:
        """Return the folder of the manifests."""
        return self.root / "manifests"

    @property
    def images_file(self) -> Path:
        """Return the file that names each image's build context."""
        return self.manifests / "images.toml"

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
    def locustfile(self) -> Path:
        """Return the load test."""
        return self.root / "loadtests" / "locustfile.py"

    @property
    def reports(self) -> Path:
        """Return the folder that holds one folder a run."""
        return self.root / "reports"

    def read(self) -> Reading:
        """Return the objects to deploy.

        Raises:
            ManifestError: there are none, or one cannot be read.
        """
        return read_manifests(self.manifests)


def find_project(start: Path, installed: Path) -> Project:
    """Return the project that ``start`` or a folder above it belongs to.

    Args:
        start: usually the working directory.
        installed: this package's folder; an editable installation lies inside its checkout.

    Raises:
        ProjectError: no folder of a project was found.
    """
    for folder in (start, *start.parents, *installed.parents):
        project = Project(folder)
        if _is_deployable(project) or _is_testable(project):
            return project
    raise ProjectError(
        f"no folder with manifests/ and experiments/ in {start} or above",
        "run the command inside a checkout of the project, or inside a folder that `flametest init` has written",
    )


def _is_deployable(project: Project) -> bool:
    return project.manifests.is_dir() and (project.experiments.is_dir() or project.images_file.is_file())


def _is_testable(project: Project) -> bool:
    return project.experiments.is_dir() and project.locustfile.is_file()
