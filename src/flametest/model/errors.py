"""The root of Flametest's error tree.

FlametestError               what a user can act on; the command line prints it in one line with its remedy
├── ClusterError             flametest.clusters: a cluster cannot be started, found or ended
├── KubeError                flametest.kube: the API refused, or did not answer
├── FaultError               flametest.faults: a fault that may not be injected, or could not be healed
├── LoadError                flametest.load: prober or load generator
├── SamplesError             flametest.measure: recorded samples that cannot be read
├── StarterError             flametest.starter: a system that cannot be understood, or a folder that cannot be written
├── ExperimentError          flametest.run: an experiment file that cannot be used
└── ProjectError             flametest.run: files of the project or of a run that cannot be used
"""

from collections.abc import Sequence

__all__ = ["FlametestError"]


class FlametestError(Exception):
    """Something a user can act on.

    Attributes:
        message: lower case; names the thing, what was expected and what was found.
        remedy: what to do about it; empty when there is nothing to advise.
        details: lines of evidence, such as one for each part that is at fault and the last lines of its log.
    """

    def __init__(self, message: str, remedy: str = "", *, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.details = tuple(details)
