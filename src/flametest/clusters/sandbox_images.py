"""How the sandbox gets the images of a project: built from their Dockerfiles, or read from them; and why so.

An image is built where its base images are at hand and something here builds from them. What has been built once from
the same context, Dockerfile and base images is not built again. All others the sandbox reads when a pod asks for them.
Where a Dockerfile was found and not named, an image that somebody has brought comes before it, and so does the registry
that an image is named after, unless it has to be built.
"""

import hashlib
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from flametest.clusters.buildsources import BuildSource
from flametest.clusters.protocol import ClusterError
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images.building import Buildah, Builder, BuildError, Docker, Recipe
from flametest.sandbox.images.builds import Build, brought, build_of, remember_build
from flametest.sandbox.images.catalogue import normal_reference
from flametest.sandbox.images.copying import SKOPEO, is_local, pull
from flametest.sandbox.images.dockerfile import DockerfileError, base_images
from flametest.sandbox.images.errors import PullError
from flametest.sandbox.images.reference import DEFAULT_REGISTRY, InvalidReferenceError, parse_reference
from flametest.sandbox.images.store import ImageStore, StoredImage
from flametest.sandbox.images.unpacking import UMOCI, unpack_early

__all__ = ["BuildWhen", "ImageMaker", "Made", "summary"]


class BuildWhen(StrEnum):
    """When images are built: where that is possible, always (it is an error where not), or never."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class _NotBuiltError(Exception):
    """An image is not to be built; the message says why."""


@dataclass(frozen=True, slots=True)
class Made:
    """How one image is had.

    Attributes:
        name: as the manifests name it.
        digest: of the built image; empty for one that is read from its Dockerfile, or is not built yet.
        how: such as ``built by buildah on python:3.13-slim of the image store``.
    """

    name: str
    digest: str
    how: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """An image that can be built: what by, from which bases of the store, and what they all are."""

    builder: Builder
    stored: dict[str, StoredImage]
    identities: tuple[str, ...]
    bases: tuple[str, ...]

    def __str__(self) -> str:
        """Return how it is built, in words."""
        places = (
            f"{base} of {'the image store' if base in self.stored else f'the storage of {self.builder.name}'}"
            for base in self.bases
        )
        return f"by {self.builder.name}{' on ' if self.bases else ''}{', '.join(places)}"


class ImageMaker:
    """Makes the images of one project; what builders and bases are here is looked up once."""

    def __init__(
        self,
        sources: Iterable[BuildSource],
        store: ImageStore,
        when: BuildWhen,
        builders: Sequence[Builder] | None = None,
    ) -> None:
        """Take what may be built, where it goes, when it is to be built, and by what (buildah or Docker)."""
        self._sources = {_normal(source.name): source for source in sources}
        self._store = store
        self._when = when
        self._builders = (Buildah(), Docker()) if builders is None else builders
        self._made: dict[str, Made] = {}

    def own(self, references: Collection[str]) -> tuple[str, ...]:
        """Return the names of the project's images among references, sorted.

        Raises:
            ClusterError: one of them has no Dockerfile.
        """
        wanted = {_normal(one) for one in references}
        own = [source for name, source in self._sources.items() if name in wanted]
        for source in own:
            source.require_dockerfile()
        return tuple(sorted(source.name for source in own))

    def make(self, names: Iterable[str], said: Callable[[str], None]) -> tuple[Made, ...]:
        """Build what is to be built, and return how each image is had.

        Args:
            names: as `own` returns them.
            said: gets each step of a build.

        Raises:
            ClusterError: a build failed, or an image that has to be built cannot be.
        """
        try:
            return tuple(self._make(_normal(name), said, ()) for name in names)
        except BuildError as error:
            raise ClusterError(str(error), error.remedy, details=[f"| {line}" for line in error.output]) from error
        except SandboxError as error:
            raise ClusterError(str(error), error.remedy) from error

    def foresee(self) -> tuple[Made, ...]:
        """Return how each image of the project would be had now; nothing is built, and no registry asked."""
        return tuple(self._foreseen(source) for source in self._sources.values())

    def _foreseen(self, source: BuildSource) -> Made:
        if not source.has_dockerfile:
            return Made(source.name, "", f"not to be had: {source.context / source.dockerfile} is no file")
        try:
            plan = self._plan(source, self._foreseen_base)
        except _NotBuiltError as error:
            return Made(source.name, "", f"read from the Dockerfile, not built: {error}")
        before = build_of(self._store, _key(source, plan), source.name)
        if before is None:
            return Made(source.name, "", f"not built; `flametest up` of what needs it builds it {plan}")
        return Made(source.name, before.digest, f"built {plan}")

    def _foreseen_base(self, base: str) -> StoredImage | None:
        if _normal(base) in self._sources:
            raise _NotBuiltError(f"`flametest up` decides that with its base image {base}")
        return self._store.find(parse_reference(base))

    def _make(self, name: str, said: Callable[[str], None], above: tuple[str, ...]) -> Made:
        if name in above:
            raise ClusterError(f"image {name} is built from itself: {' from '.join((*above, name))}", "fix images.toml")
        if name not in self._made:
            self._made[name] = self._made_of(self._sources[name], said, (*above, name))
        return self._made[name]

    def _made_of(self, source: BuildSource, said: Callable[[str], None], above: tuple[str, ...]) -> Made:
        if preferred := self._preferred(source):
            return Made(source.name, "", preferred)
        try:
            plan = self._plan(source, lambda base: self._base(base, said, above))
        except _NotBuiltError as error:
            return Made(source.name, "", f"read from the Dockerfile, not built: {error}")
        return self._built(source, plan, said)

    def _preferred(self, source: BuildSource) -> str:
        """Return what comes before a Dockerfile that was found, in words; empty for nothing."""
        if not source.is_found or self._when is BuildWhen.ALWAYS:
            return ""
        try:
            if self._brought(source) is not None:
                return "taken from the image store"
        except InvalidReferenceError as error:
            return f"not to be had: {error}"
        if parse_reference(source.name).registry != DEFAULT_REGISTRY:
            return "asked of its registry, else read from the Dockerfile; `--build always` builds it"
        return ""

    def _brought(self, source: BuildSource) -> StoredImage | None:
        """Return the store's image that comes before a Dockerfile which was found."""
        return brought(self._store, parse_reference(source.name)) if source.is_found else None

    def _plan(self, source: BuildSource, base_of: Callable[[str], StoredImage | None]) -> _Plan:
        """Return how an image is to be built; ``base_of`` finds base images that are in the store."""
        source.require_dockerfile()
        if self._when is BuildWhen.NEVER:
            raise _NotBuiltError("--build never")
        usable = self._usable
        if not usable:
            why = " and ".join(builder.refusal for builder in self._builders)
            self._refuse(source, why, "install buildah or start Docker")
        if lacking := [name for name in (SKOPEO, UMOCI) if shutil.which(name) is None]:
            self._refuse(source, f"real images need {' and '.join(lacking)}", f"install {' and '.join(lacking)}")
        try:
            bases = tuple(dict.fromkeys(base_images(source.context / source.dockerfile).values()))
            found = {base: base_of(base) for base in bases}
        except (DockerfileError, InvalidReferenceError) as error:
            raise ClusterError(f"image {source.name}: {source.dockerfile}: {error}", "fix the Dockerfile") from error
        stored = {base: image for base, image in found.items() if image is not None}
        for builder in usable:
            identities = [stored[one].digest if one in stored else builder.identifier(one) for one in bases]
            if all(identities):
                return _Plan(builder, stored, tuple(identities), bases)
        missing = next(one for one in bases if one not in stored and not usable[-1].identifier(one))
        places = " nor ".join(f"in the storage of {builder.name}" for builder in usable)
        why = f"its base image {missing} is neither in the image store nor {places}"
        return self._refuse(source, why, f"bring it by `flametest images pull {missing}`")

    def _refuse(self, source: BuildSource, why: str, remedy: str) -> NoReturn:
        if self._when is BuildWhen.ALWAYS:
            raise ClusterError(f"image {source.name} cannot be built: {why}", f"{remedy}, or leave --build always out")
        raise _NotBuiltError(why)

    def _base(self, base: str, said: Callable[[str], None], above: tuple[str, ...]) -> StoredImage | None:
        """Return a base image that is in the store now; one of the project's own is made first."""
        if _normal(base) not in self._sources:
            return self._store.find(parse_reference(base)) or self._pulled(base)
        made = self._make(_normal(base), said, above)
        if not made.digest and (stored := self._brought(self._sources[_normal(base)])):
            return stored
        if not made.digest:
            raise _NotBuiltError(f"its base image {base} is {made.how}")
        return self._store.image(base, made.digest)

    def _pulled(self, base: str) -> StoredImage | None:
        """Return a base image from its registry: one on this machine, or any where images have to be built."""
        reference = parse_reference(base)
        needed = self._when is BuildWhen.ALWAYS and not any(one.identifier(base) for one in self._usable)
        if not needed and not is_local(reference.registry):
            return None
        try:
            return pull(self._store, reference, {})
        except PullError as error:
            if needed:
                raise ClusterError(f"base image {base}: {error}", "bring it by `flametest images load`") from error
            return None

    @property
    def _usable(self) -> list[Builder]:
        return [builder for builder in self._builders if not builder.refusal]

    def _built(self, source: BuildSource, plan: _Plan, said: Callable[[str], None]) -> Made:
        key, name = _key(source, plan), str(parse_reference(source.name))
        before = build_of(self._store, key, name)
        if before is not None:
            return Made(source.name, before.digest, f"built before {plan}, and nothing of that has changed")
        file = source.context / source.dockerfile
        image = plan.builder.build(self._store, Recipe(name, source.context, file, plan.stored), said)
        unpack_early(self._store, image)
        remember_build(self._store, key, Build(image.digest, str(file), plan.builder.name, plan.bases))
        return Made(source.name, image.digest, f"built {plan}")


def summary(made: Iterable[Made]) -> str:
    """Return how images are had, those together of which the same is to be said."""
    groups: dict[str, list[str]] = {}
    for one in made:
        groups.setdefault(one.how, []).append(one.name)
    return "; ".join(f"{', '.join(names)} {how}" for how, names in groups.items())


def _key(source: BuildSource, plan: _Plan) -> str:
    """Return what stands for all that an image is built from, as hexadecimal digits."""
    return hashlib.sha256("\0".join((source.digest(), source.dockerfile, *plan.identities)).encode()).hexdigest()


def _normal(name: str) -> str:
    try:
        return ":".join(normal_reference(name))
    except InvalidReferenceError:
        return name
