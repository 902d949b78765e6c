"""Fetch the logs of all pods of a namespace into files, one for each container."""

from pathlib import Path

from flametest.kube.api import Api
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import PODS, Object

__all__ = ["collect_logs"]

LINES_MAX = 20_000  # the last ones of each log: more than a run writes, and bounded


def collect_logs(api: Api, namespace: str, folder: Path) -> list[Path]:
    """Write the log of every container to ``folder/POD.CONTAINER.log`` and return the files, by name.

    A container that was restarted has its former life in ``POD.CONTAINER.previous.log``. One that never started
    has no log, and no file.

    Raises:
        KubeError: the pods cannot be listed.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for pod in api.listed(PODS.path(namespace)).items:
        path = PODS.path(namespace, pod["metadata"]["name"]) + "/log"
        for container, previous in _containers(pod):
            query = {"container": container, "tailLines": str(LINES_MAX), "timestamps": "true"}
            if previous:
                query["previous"] = "true"
            try:
                text = api.text(path, query)
            except ApiRejectedError:
                continue
            file = folder / f"{pod['metadata']['name']}.{container}{'.previous' if previous else ''}.log"
            file.write_text(text, encoding="utf-8")
            files.append(file)
    return sorted(files)


def _containers(pod: Object) -> list[tuple[str, bool]]:
    status = pod.get("status", {})
    found = []
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        found.append((str(container["name"]), False))
        if int(container.get("restartCount", 0)) > 0:
            found.append((str(container["name"]), True))
    return found
