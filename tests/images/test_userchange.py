"""What shows of a command that it will change its user."""

from pathlib import Path

import pytest

from flametest.sandbox.images.userchange import user_change

PATH = "/usr/local/bin:/usr/bin:/bin"
SCRIPTS = {
    "usr/local/bin/with-gosu": '#!/bin/sh\nif [ "$(id -u)" = 0 ]; then\n\texec gosu redis "$0" "$@"\nfi\nexec "$@"\n',
    "usr/local/bin/with-path": '#!/bin/sh\nexec /sbin/su-exec redis "$@"\n',
    "usr/local/bin/with-chown": "#!/bin/sh\nfind . \\! -user redis -exec chown redis '{}' +\nexec \"$@\"\n",
    "usr/local/bin/in-words": '#!/bin/sh\n# gosu is not used, nor is su -c\necho "surely chowned"\nexec "$@"\n',
    "usr/local/bin/with-end": '#!/bin/sh\n# "$@" is ignored\nexec server\n',
    "usr/bin/goes-on": '#!/bin/bash\nset -- server "$@"\nexec "$@"\n',
    "usr/bin/circle": '#!/bin/sh\nexec "$@"\n',
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in SCRIPTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "usr/bin/server").write_bytes(b"\x7fELF chown gosu su ")
    (tmp_path / "entry").symlink_to("/usr/local/bin/with-gosu")
    (tmp_path / "outside").symlink_to("../../../../../../etc/hostname")
    (tmp_path / "around").symlink_to("around")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["with-gosu", "redis-server"], "gosu in /usr/local/bin/with-gosu"),
        (["/entry"], "gosu in /entry"),
        (["with-path"], "su-exec in /usr/local/bin/with-path"),
        (["with-chown"], "chown in /usr/local/bin/with-chown"),
        (["goes-on", "with-gosu"], "gosu in /usr/local/bin/with-gosu"),
        (["goes-on", "nginx", "-g", "daemon off;"], "nginx"),
        (["/usr/sbin/nginx"], "nginx"),
        (["sh", "/usr/local/bin/with-gosu"], "gosu in /usr/local/bin/with-gosu"),
        (["sh", "-c", "chown -R 5 /data && exec server"], "chown in its command"),
        (["sh", "-ec", "exec su web -c server"], "su in its command"),
        (["gosu", "redis", "server"], "gosu"),
        (["in-words", "server"], ""),
        (["with-end", "gosu"], ""),
        (["server", "gosu"], ""),
        (["sh", "-c", "exec server"], ""),
        (["sh"], ""),
        (["/outside"], ""),
        (["/around"], ""),
        (["/usr"], ""),
        (["missing"], ""),
        (["circle"] * 10, ""),
        ([], ""),
    ],
)
def test_commands_that_step_down_are_found(root: Path, arguments: list[str], found: str) -> None:
    assert user_change(root, arguments, PATH) == found
