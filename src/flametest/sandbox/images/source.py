"""Where the agent gets its images from: the project, the store, what was found, stand-ins, registries, in this order.

The agent sees `Images.obtain` only. A build context that was found beside the manifests, and not named, comes after
real images: somebody has brought those. An image whose name has a registry is asked for there first; of all others a
registry may have what cannot be read. A stand-in is used where the store has no real image of its name: a run must not
depend on a registry that may be out of reach, and ``flametest images pull`` says that the real one is wanted.
"""

import asyncio
import contextlib
import json
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images.builds import brought, read_builds
from flametest.sandbox.images.catalogue import Catalogue, normal_reference, not_found
from flametest.sandbox.images.environments import environment_folder, is_whole, with_environment
from flametest.sandbox.images.errors import PullError, PullFailure
from flametest.sandbox.images.image import Image, Packages
from flametest.sandbox.images.reference import DEFAULT_REGISTRY, InvalidReferenceError, Reference, parse_reference
from flametest.sandbox.images.store import ImageStore, StoredImage
from flametest.sandbox.images.stored import image_of
from flametest.sandbox.images.unpacking import unpack

__all__ = ["Fetch", "Images", "Install", "Obtained"]

Fetch = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Copies the image of a full name into the store, with credentials for its registry; raises PullError."""

Install = Callable[[Packages], Awaitable[None]]
"""Makes the environment of packages in the store; raises PullError."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """An image, and whether a registry was asked for it: then also how long that took."""

    image: Image
    pulled: bool = False
    seconds: float = 0.0
    size_bytes: int = 0


class Images:
    """Finds images for the agent; lives as long as it."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: ImageStore | None = None,
        fetch: Fetch | None = None,
        *,
        install: Install | None = None,
        builds: Path | None = None,
        one_user: bool = False,
    ) -> None:
        """Take where to look.

        Args:
            catalogue: the project's images and stand-ins.
            store: of real images; None where there are none.
            fetch: asks registries; None where none is to be asked.
            install: makes environments in the store; None where none is to be made.
            builds: the record of the project's images that run as built ones; None for none.
            one_user: the machine lets files belong to one user only.
        """
        self._catalogue = catalogue
        self._store = store
        self._fetch = fetch
        self._install = install
        self._builds = builds
        self._one_user = one_user
        self._environments: set[Path] = set()
        self._without_extras: dict[Path, str] = {}
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._unpacking = asyncio.Lock()
        self._held = contextlib.ExitStack()
        self._roots: dict[str, Path] = {}

    async def obtain(self, reference: str, policy: str, credentials: Mapping[str, Any]) -> Obtained:
        """Return the image of a reference.

        Args:
            reference: as in a pod's spec.
            policy: Always, IfNotPresent or Never.
            credentials: ``auths`` as in Docker's config.json, of the pod's imagePullSecrets.

        Raises:
            PullError: it cannot be had.
        """
        own = await self._built(reference) or await self._read(self._catalogue.own, reference, policy)
        if own is not None:
            return Obtained(own)
        parsed = parse_reference(reference)
        stored = self._stored(reference, parsed)
        if stored is not None and policy != "Always":
            return Obtained(await self._unpacked(reference, stored))
        asks_first = self._fetch is not None and policy != "Never" and parsed.registry != DEFAULT_REGISTRY
        offered, unusable = (None, "") if stored or asks_first else await self._offered(reference, policy)
        if offered is not None:
            return Obtained(offered)
        if policy == "Never":
            raise _absent(reference, unusable or "it is not in the image store")
        try:
            return await self._pulled(reference, parsed, credentials)
        except PullError as error:
            if asks_first and stored is None:
                offered, unusable = await self._offered(reference, policy)
            if offered is not None:
                notice = f"it is read from its Dockerfile, which was found next to the manifests: {error}"
                return Obtained(replace(offered, notice="; ".join(filter(None, (offered.notice, notice)))))
            if unusable:
                causes = (str(error), unusable) if asks_first else (unusable, str(error))
                raise PullError("; and ".join(causes), error.failure) from error
            raise

    def _stored(self, reference: str, parsed: Reference) -> StoredImage | None:
        """Return the store's image; of one whose Dockerfile was found, what was built from it once does not count."""
        if self._store is None:
            return None
        is_found = self._catalogue.is_found(reference)
        return brought(self._store, parsed) if is_found else self._store.find(parsed)

    async def _offered(self, reference: str, policy: str) -> tuple[Image | None, str]:
        """Return what is there without a registry, by a Dockerfile that was found or a stand-in, or why it is not."""
        try:
            found = await self._read(self._catalogue.found, reference, policy)
        except PullError as error:
            if error.failure is PullFailure.NEVER:
                raise
            return None, str(error)
        return found or self._catalogue.stand_in(reference), ""

    async def _pulled(self, reference: str, parsed: Reference, credentials: Mapping[str, Any]) -> Obtained:
        """Return an image after a registry was asked for it."""
        if self._fetch is None or self._store is None:
            raise PullError(not_found(reference))
        begin = time.monotonic()
        await self._fetched(parsed, credentials)
        seconds = time.monotonic() - begin
        stored = self._store.find(parsed)
        if stored is None:
            raise PullError(f'failed to pull and unpack image "{parsed}": it was removed from the store meanwhile')
        return Obtained(await self._unpacked(reference, stored), True, seconds, stored.size_bytes)

    def close(self) -> None:
        """Let go of roots and environments: from now on they may be removed from the store."""
        self._held.close()

    async def _read(self, find: Callable[[str], Image | None], reference: str, policy: str) -> Image | None:
        """Return an image that is read from its Dockerfile, with its packages; None when ``find`` has none."""
        try:
            image = find(reference)
            packages = None if image is None else image.packages
            if image is None or packages is None or not packages.missing:
                return image
            return await self._furnished(image, packages)
        except PullError as error:
            if policy == "Never" and error.failure is PullFailure.PULL:
                raise _absent(reference, str(error)) from error
            raise

    async def _built(self, reference: str) -> Image | None:
        """Return an image of the project that has been built; None for one that is to be read."""
        builds = {} if self._builds is None or self._store is None else read_builds(self._builds)
        try:
            digest = builds.get(":".join(normal_reference(reference))) if builds else None
        except InvalidReferenceError:
            digest = None  # told by the catalogue
        if digest is None or self._store is None:
            return None
        stored = self._store.image(reference, digest)
        if stored is None:
            raise PullError(f'image "{reference}" was built, and is no longer in the image store: `flametest up` again')
        return await self._unpacked(reference, stored)

    async def _furnished(self, image: Image, packages: Packages) -> Image:
        """Return an image with the environment that it wants, made now if it was not."""
        lacking = f"not installed alongside the sandbox: {', '.join(packages.missing)}"
        failed = f'failed to build image "{image.reference}" from {packages.instruction}: {lacking}'
        if self._store is None or self._install is None:
            raise PullError(f"{failed}; install with: pip install {shlex.join(packages.missing)}")
        folder = environment_folder(self._store.folder, packages.wanted, packages.constraints)
        if folder in self._without_extras:
            return self._lacking_extras(image, folder)
        if not is_whole(folder):
            try:
                await self._install(packages)
            except PullError as error:
                if packages.extras_only:
                    self._without_extras[folder] = f"{lacking} (extras; pip: {error})"
                    return self._lacking_extras(image, folder)
                raise PullError(f"{failed}; and pip could not install what the image asks for: {error}") from error
        if folder not in self._environments:
            try:
                self._held.enter_context(self._store.using(folder))
            except OSError as error:
                raise PullError(f"{failed}; its environment was removed meanwhile: {error}") from error
            self._environments.add(folder)
        return with_environment(image, folder)

    def _lacking_extras(self, image: Image, folder: Path) -> Image:
        """Return an image that runs by the sandbox's environment, as it did not get the extras that it asks for."""
        notice = "; ".join(filter(None, (image.notice, self._without_extras[folder])))
        return replace(image, packages=None, notice=notice)

    async def _fetched(self, reference: Reference, credentials: Mapping[str, Any]) -> None:
        """Have an image copied into the store; those who want the same at the same time wait for one copy."""
        assert self._fetch is not None
        key = json.dumps([str(reference), credentials], sort_keys=True)
        task = self._fetching.get(key)
        if task is None:
            task = asyncio.ensure_future(self._fetch(str(reference), credentials))
            self._fetching[key] = task
            task.add_done_callback(lambda _: self._fetching.pop(key, None))
        await asyncio.shield(task)

    async def _unpacked(self, reference: str, stored: StoredImage) -> Image:
        """Return an image with its root, unpacked now if it was not: one image at a time, as it fills the disk."""
        assert self._store is not None
        try:
            async with self._unpacking:
                root = self._roots.get(stored.digest)
                if root is None or not root.is_dir():
                    root = await asyncio.to_thread(unpack, self._store, stored, one_user=self._one_user)
                    self._held.enter_context(self._store.using(root))
                    self._roots[stored.digest] = root
        except (SandboxError, OSError) as error:
            told = "; ".join(filter(None, (str(error), getattr(error, "remedy", ""))))
            raise PullError(f'failed to pull and unpack image "{parse_reference(reference)}": {told}') from error
        return image_of(reference, stored, root)


def _absent(reference: str, cause: str) -> PullError:
    message = f'Container image "{reference}" is not present with pull policy of Never'
    return PullError(f"{message}: {cause}", PullFailure.NEVER)
