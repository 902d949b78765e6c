"""Built-in images: the official ones that everybody uses, run from binaries that are installed on the machine.

Each honours the environment, the paths and the commands of the official image of its name. Where the installed binary
is of another version than the tag asks for, the image says so in its notice.
"""

from flametest.sandbox.images.builtin.nginx import nginx, nginx_unprivileged
from flametest.sandbox.images.builtin.plain import busybox, python
from flametest.sandbox.images.builtin.postgres import postgres
from flametest.sandbox.images.builtin.redis import redis
from flametest.sandbox.images.image import Image

__all__ = ["NAMES", "find"]

_MAKERS = {
    "busybox": busybox,
    "nginx": nginx,
    "nginxinc/nginx-unprivileged": nginx_unprivileged,
    "postgres": postgres,
    "python": python,
    "redis": redis,
}
NAMES = tuple(_MAKERS)


def find(name: str, tag: str) -> Image | None:
    """Return the built-in image of a name and tag, or None when there is none or its binary is not installed."""
    maker = _MAKERS.get(name)
    return None if maker is None else maker(tag)
