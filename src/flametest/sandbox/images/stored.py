"""What the agent runs of a stored image: its unpacked root, and what its configuration says.

Fields: https://github.com/opencontainers/image-spec/blob/main/config.md
"""

import platform
import signal
from pathlib import Path

from flametest.sandbox.images.errors import PullError
from flametest.sandbox.images.image import Image
from flametest.sandbox.images.rootfs import NoSuchUserError, user_of
from flametest.sandbox.images.store import StoredImage

__all__ = ["image_of"]

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""What Go, and so images, call the machines of Linux; others have the same name: https://go.dev/doc/install/source"""


def image_of(reference: str, stored: StoredImage, root: Path) -> Image:
    """Return the image that runs from an unpacked root.

    Raises:
        PullError: its configuration makes no sense; the message says what.
    """
    configuration = stored.configuration
    try:
        user = user_of(root / "rootfs", str(configuration.get("User") or ""))
        pairs = (str(one).partition("=") for one in configuration.get("Env") or ())
        return Image(
            reference,
            environment=tuple((name, value) for name, _, value in pairs),
            entrypoint=tuple(map(str, configuration.get("Entrypoint") or ())),
            command=tuple(map(str, configuration.get("Cmd") or ())),
            working_directory=str(configuration.get("WorkingDir") or "/"),
            user=user.user,
            group=user.group,
            groups=user.groups,
            user_name=user.name,
            home=user.home,
            stop_signal=_signal(str(configuration.get("StopSignal") or "SIGTERM")),
            volumes=tuple(sorted(map(str, configuration.get("Volumes") or {}))),
            digest=stored.digest,
            root=str(root),
            notice=_notice(stored.architecture),
        )
    except NoSuchUserError as error:
        raise PullError(f'failed to create containerd container of image "{reference}": {error}') from error
    except (TypeError, ValueError, AttributeError) as error:
        raise PullError(f'the configuration of image "{reference}" makes no sense: {error}') from error


def _notice(architecture: str) -> str:
    """Return that an image is for other processors, which registries tell of those only that have several to choose."""
    here = _ARCHITECTURES.get(platform.machine(), platform.machine())
    if architecture in ("", here):
        return ""
    return f"the image is for the architecture {architecture}, and this machine is {here}: its programs cannot run here"


def _signal(text: str) -> int:
    """Return the number of a signal, which is given by name, with or without SIG, or by number."""
    if text.isdecimal():
        return int(text)
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name.startswith("SIGRTMIN+"):
        return int(signal.SIGRTMIN) + int(name.removeprefix("SIGRTMIN+"))
    if name not in signal.Signals.__members__:
        raise ValueError(f"it has no such stop signal as {text!r}")
    return int(signal.Signals[name])
