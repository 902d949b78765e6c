"""Which Dockerfile beside the manifests an image of theirs is built from, where no images.toml says so.

Manifests name ``shop-api:1``; that it is built in ``api/`` stands in a Compose file, in a script, or nowhere. A Compose
file is believed. Otherwise names have to agree, or there has to be one image of one's own and one Dockerfile. What
could be read in two ways is left alone, and so are the official images. Only files are read.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.manifests.documents import decoded, documents
from flametest.manifests.errors import ManifestError
from flametest.manifests.reading import Manifest

__all__ = ["BuildContext", "find_contexts", "images_of"]

_COMPOSE = re.compile(r"(?:docker-)?compose[\w.-]*\.ya?ml", re.ASCII)
_DOCKERFILE = re.compile(r"(?:(?P<before>[\w-]+)\.)?Dockerfile(?:\.(?P<after>[\w.-]+))?", re.ASCII)
_FOREIGN_FOLDERS = ("node_modules", "__pycache__", "venv", "site-packages", "vendor")
_DEPTH_MAX = 4
_FOLDERS_MAX = 2000  # a home folder must not be searched for minutes


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MANIFEST_FOLDERS = _words(
    "base deploy deployment deployments infra infrastructure k8s kube kubernetes manifests minikube ops overlays"
)
# Docker's official images that people deploy (https://hub.docker.com/u/library): a folder may well be called so.
_OFFICIAL = _words(
    """
    alpine amazoncorretto busybox caddy cassandra consul couchdb debian eclipse-mosquitto eclipse-temurin elasticsearch
    golang haproxy httpd influxdb kibana logstash mariadb memcached mongo mongo-express mysql nats neo4j nginx node
    openjdk php phpmyadmin postgres python rabbitmq redis registry ruby rust solr telegraf tomcat traefik ubuntu vault
    wordpress zookeeper
    """
)


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What an image is built from.

    Attributes:
        image: as the manifests name it.
        context: the folder that is copied from.
        dockerfile: its path.
        reason: why it is taken to be that.
    """

    image: str
    context: Path
    dockerfile: Path
    reason: str

    @property
    def has_registry(self) -> bool:
        """Return whether the image's name says in which registry it is."""
        first, slash, _ = _repository(self.image).partition("/")
        return bool(slash) and (first == "localhost" or "." in first or ":" in first)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A Dockerfile: names that it might be meant by, and the image that a Compose file calls its product."""

    context: Path
    dockerfile: Path
    names: frozenset[str]
    image: str = ""


def images_of(manifests: Iterable[Manifest]) -> list[str]:
    """Return the images that the pods of manifests run, each once, in order."""
    found: dict[str, None] = {}
    for one in manifests:
        spec = one.pod_spec
        for key in ("initContainers", "containers"):
            listed = spec.get(key)
            containers = listed if isinstance(listed, list) else []
            found |= {str(each["image"]): None for each in containers if isinstance(each, dict) and each.get("image")}
    return list(found)


def find_contexts(images: Sequence[str], sources: Iterable[Path]) -> list[BuildContext]:
    """Return what the images are built from that have their Dockerfile with the manifests or in the folders above.

    Args:
        images: as the manifests name them; those whose context is known already left out.
        sources: files and folders of the manifests.
    """
    wanted = [one for one in images if "@" not in one and _repository(one) not in _OFFICIAL]
    found: dict[str, BuildContext] = {}
    for root in _roots(sources) if wanted else ():
        candidates = _candidates(root)
        for image in wanted:
            if image not in found and (chosen := _named(image, candidates)):
                found[image] = chosen
        found |= _only({one: _repository(one) for one in wanted if one not in found}, candidates, found)
        if len(found) == len(wanted):
            break
    return [found[one] for one in wanted if one in found]


def _repository(image: str) -> str:
    """Return an image's name without tag and digest, and without the registry that is taken for granted."""
    head, slash, last = image.partition("@")[0].rpartition("/")
    name = f"{head}{slash}{last.partition(':')[0]}"
    for prefix in ("docker.io/", "library/"):
        name = name.removeprefix(prefix)
    return name


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _roots(sources: Iterable[Path]) -> Iterator[Path]:
    """Yield the folders to search, the nearest first: those of the manifests, and the project that they lie in.

    Without a repository of Git around it, a project is the first folder above that is not called like one of manifests.
    """
    seen: dict[Path, None] = {}
    for source in sources:
        folder = (source if source.is_dir() else source.parent).resolve()
        above = [folder, *folder.parents][: _DEPTH_MAX + 1]
        top = next((at for at, one in enumerate(above) if (one / ".git").exists()), None)
        if top is None:
            top = next((at for at, one in enumerate(above) if one.name not in _MANIFEST_FOLDERS), 0)
        for one in above[: top + 1]:
            if one not in (Path(one.anchor), Path.home()):
                seen.setdefault(one)
    return iter(seen)


def _candidates(root: Path) -> list[_Candidate]:
    composed: list[_Candidate] = []
    plain: list[_Candidate] = []
    for folder, files in _walk(root):
        for name in files:
            if _COMPOSE.fullmatch(name):
                composed += _of_compose(folder / name)
            elif fits := _DOCKERFILE.fullmatch(name):
                suffix = fits["before"] or fits["after"] or ""
                own = (root.name, *folder.relative_to(root).parts)
                names = [suffix] if suffix else ["-".join(own[at:]) for at in range(len(own))]
                plain.append(_Candidate(folder, folder / name, frozenset(filter(None, map(_normal, names)))))
    return [*composed, *plain]


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    for number, (folder, folders, files) in enumerate(os.walk(root)):
        if number >= _FOLDERS_MAX:
            return
        is_deep = len(Path(folder).relative_to(root).parts) >= _DEPTH_MAX
        kept = (one for one in sorted(folders) if not one.startswith(".") and one not in _FOREIGN_FOLDERS)
        folders[:] = () if is_deep else kept
        yield Path(folder), sorted(files)


def _of_compose(file: Path) -> Iterator[_Candidate]:
    """Yield what a Compose file builds; nothing of one that cannot be read.

    Format: https://docs.docker.com/reference/compose-file/build/
    """
    try:
        contents = [one.value for one in documents(decoded(file.read_bytes(), file.name), file.name)]
    except (OSError, ManifestError):
        return
    for content in contents:
        services = content.get("services") if isinstance(content, dict) else None
        for name, service in services.items() if isinstance(services, dict) else ():
            build = service.get("build") if isinstance(service, dict) else None
            wanted = {"context": build} if isinstance(build, str) else build
            if isinstance(wanted, dict):
                project = str(content.get("name") or file.parent.name)
                yield _composed(file.parent, project, str(name), wanted, str(service.get("image") or ""))


def _composed(folder: Path, project: str, name: str, build: dict[str, Any], image: str) -> _Candidate:
    context = Path(os.path.normpath(folder / str(build.get("context", "."))))
    dockerfile = Path(os.path.normpath(context / str(build.get("dockerfile", "Dockerfile"))))
    return _Candidate(context, dockerfile, frozenset(map(_normal, (name, f"{project}-{name}"))), _repository(image))


def _named(image: str, candidates: Sequence[_Candidate]) -> BuildContext | None:
    """Return the context of the one Dockerfile that an image's name leads to; None for none, or several."""
    repository = _repository(image)
    word = _normal(repository.rpartition("/")[2])
    ways = (
        ("a Compose file says so", lambda one: one.image == repository),
        ("it has the image's name", lambda one: word in one.names),
        ("its name is a part of the image's", lambda one: any(_is_part(name, word) for name in one.names)),
    )
    for reason, fits in ways:
        chosen = {one.dockerfile: one for one in reversed(candidates) if fits(one) and _is_usable(one, repository)}
        if len(chosen) == 1:
            (one,) = chosen.values()
            return BuildContext(image, one.context, one.dockerfile, reason)
        if chosen:
            return None
    return None


def _only(
    left: dict[str, str], candidates: Sequence[_Candidate], found: dict[str, BuildContext]
) -> dict[str, BuildContext]:
    """Return the one Dockerfile that is left for the one image that is, which may have several tags."""
    used = {one.dockerfile for one in found.values()}
    free = {one.dockerfile: one for one in reversed(candidates) if one.dockerfile not in used}
    repositories = set(left.values())
    if len(repositories) != 1 or len(free) != 1:
        return {}
    (one,), (repository,) = free.values(), repositories
    if one.image or not _is_usable(one, repository):
        return {}
    reason = "the only Dockerfile for the only image without one"
    return {image: BuildContext(image, one.context, one.dockerfile, reason) for image in left}


def _is_part(name: str, word: str) -> bool:
    """Return whether one name holds the other as whole words at its beginning or end: ``api`` of ``shop-api``."""
    short, long = sorted((name, word), key=len)
    return long.startswith(f"{short}-") or long.endswith(f"-{short}")


def _is_usable(one: _Candidate, repository: str) -> bool:
    """Return whether a Dockerfile is there, and does not begin with the very image that it would build."""
    try:
        text = one.dockerfile.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    bases = re.findall(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)", text, re.MULTILINE | re.IGNORECASE)
    return repository not in map(_repository, bases)
