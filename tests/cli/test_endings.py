"""Every command ends with a documented code and at most one line and its remedy, whatever goes wrong around it."""

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from flametest.cli.ending import NotHealedError, guarded
from flametest.cli.streams import OutputClosed, one_line
from flametest.model.errors import FlametestError
from flametest.run.exitcodes import ExitCode
from flametest.run.folder import RunFolder
from tests.patience import PATIENCE_SECONDS
from tests.run.laboratory_run import REPOSITORY, laboratory_run

FLAMETEST = [sys.executable, "-m", "flametest.cli"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every command a state folder of its own."""
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def finished(tmp_path: Path) -> RunFolder:
    """Return the folder of a run that can be reported on."""
    return laboratory_run(tmp_path / "run")


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


def run(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Run a command of the checked out project; ``options`` are those of `subprocess.run`."""
    command = [*FLAMETEST, *(one if isinstance(one, bytes) else str(one) for one in arguments)]
    settings: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "cwd": REPOSITORY,
        "timeout": 60,
    } | options
    done: subprocess.CompletedProcess[bytes] = subprocess.run(command, check=False, **settings)
    return done


def into_a_closed_pipe(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Run a command whose reader has gone before it writes anything."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return run(*arguments, stdout=writing, **options)
    finally:
        os.close(writing)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (FlametestError("no such\nsuite", "name another"), 2, "error: no such suite\nremedy: name another\n"),
        (click.UsageError("no such option"), 2, "Error: no such option\n"),
        (click.FileError("x.json", "cannot be opened"), 2, "Error: Could not open file 'x.json': cannot be opened\n"),
        (click.Abort(), 130, "interrupted; everything that was started has been ended\n"),
        (KeyboardInterrupt(), 130, "interrupted; everything that was started has been ended\n"),
        (OutputClosed(), 141, ""),
        (SystemExit(2), 2, ""),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: No space left on device\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), 2, "error: /a/b: Permission denied\n"),
        (OSError(errno.EROFS, "Read-only file system", b"/a/\xff"), 2, "error: /a/\\udcff: Read-only file system\n"),
    ],
)
def test_what_has_a_meaning_for_users_ends_with_its_own_code(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(raising(error)) == code
    found = capsys.readouterr().err
    assert found.partition("remedy")[0] == told.partition("remedy")[0]


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        RuntimeError("of two\nlines"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ImportError("cannot import name 'y'"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),  # of a child, not of the output
        RecursionError(),
        SystemExit(1),
        SystemExit("something"),
        ExceptionGroup("several", [ValueError("a"), ValueError("b")]),
    ],
)
def test_an_error_that_nobody_foresaw_is_one_line_with_the_path_of_its_traceback(
    error: BaseException, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(raising(error)) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert type(error).__name__ in line
    (saved,) = (home / "errors").iterdir()
    assert str(saved) in line
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert stat.S_IMODE(saved.parent.stat().st_mode) == 0o700
    assert "raise error" in saved.read_text()


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Bearer abcDEF123secret",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhYmNERUYxMjNzZWNyZXQifQ.abcDEF123secret",
        "https://user:abcDEF123secret@host/x",
        "{'password': 'abcDEF123secret'}",
        "token=abcDEF123secret",
        "-----BEGIN RSA PRIVATE KEY-----\nabcDEF123secret\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nabcDEF123secret",
    ],
)
def test_no_secret_is_told_or_saved(secret: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(ValueError(f"refused: {secret}"))) == 70
    (saved,) = (home / "errors").iterdir()
    assert "abcDEF123secret" not in saved.read_text() + capsys.readouterr().err
    assert "ValueError: refused: " in saved.read_text()


def test_a_traceback_that_cannot_be_saved_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path / "file"))
    assert guarded(raising(KeyError("x"))) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be saved (Not a directory)" in line


def test_what_is_left_unhealed_outweighs_why_the_command_ended(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise NotHealedError from FlametestError("the load died", "look at it")

    assert guarded(command) == 4
    assert capsys.readouterr().err == "error: the load died\nremedy: look at it\n"


def test_an_installation_that_is_broken_is_no_missed_limit() -> None:
    broken = "import sys; sys.modules['click'] = None; from flametest.cli.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", broken], capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 70
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("doctor",)])
def test_a_reader_that_has_gone_ends_a_command_quietly(arguments: tuple[str, ...], home: Path) -> None:
    done = into_a_closed_pipe(*arguments)
    assert (done.returncode, done.stderr) == (141, b"")
    assert not home.exists() or not list(home.rglob("*.txt"))


def test_a_reader_that_has_gone_ends_what_writes_files_too(finished: RunFolder, tmp_path: Path) -> None:
    init = into_a_closed_pipe("init", "--manifests", "manifests", "--out", tmp_path / "own")
    report = into_a_closed_pipe("report", finished.path)
    compare = into_a_closed_pipe("compare", finished.path, finished.path)
    assert [(one.returncode, one.stderr) for one in (init, report, compare)] == [(141, b"")] * 3


def test_both_outputs_may_be_gone() -> None:
    assert into_a_closed_pipe("--help", stderr=subprocess.STDOUT).returncode == 141
    assert into_a_closed_pipe("run", "--suite", "none", stderr=subprocess.STDOUT).returncode == 2


def test_a_thread_that_writes_ends_the_command_too() -> None:
    waiting = (
        "import threading, time; from flametest.cli.ending import guarded\n"
        "def command():\n"
        "    threading.Thread(target=lambda: print('x' * 100000, flush=True), daemon=True).start()\n"
        "    time.sleep(60)\n"
        "raise SystemExit(guarded(command))\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", waiting], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=50
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


WAITING = """
import sys, time
from pathlib import Path
from flametest.cli.ending import guarded
from flametest.run.interrupt import interruptible

def command():
    try:
        print("begun", flush=True)
        with interruptible():
            time.sleep(3600)
    finally:
        time.sleep(0.3)  # the way out, on which nothing may disturb
        Path(sys.argv[1]).write_text("healed")

raise SystemExit(guarded(command))
"""


@pytest.mark.parametrize("opened", [os.pipe, os.openpty, socket.socketpair], ids=["pipe", "terminal", "socket"])
def test_a_reader_that_goes_while_nothing_is_written_ends_the_command_at_once(
    opened: Callable[[], tuple[Any, Any]], tmp_path: Path
) -> None:
    reading, writing = (one if isinstance(one, int) else one.detach() for one in opened())
    command = [sys.executable, "-c", WAITING, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE) as waiting:
        os.close(writing)
        assert os.read(reading, 64).strip() == b"begun"
        os.close(reading)
        try:
            _, said = waiting.communicate(timeout=PATIENCE_SECONDS)
        finally:
            waiting.kill()
    assert (waiting.returncode, said) == (141, b"")
    assert (tmp_path / "out").read_text() == "healed"


def test_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    done = run("report", os.fsencode(tmp_path) + b"/\xff")
    assert done.returncode == 2
    assert b"is no text in UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


def test_output_that_finds_no_room_is_a_fault_of_the_surroundings() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run("run", "--help", stdout=full)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[0] == "error: the output cannot be written: No space left on device"


def test_closed_descriptors_are_no_error(finished: RunFolder) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *FLAMETEST, "report", str(finished.path)], check=False, timeout=180
    )
    assert done.returncode == 0


# Python reads the .pth file of an editable installation by the locale's encoding, also in UTF-8 mode.
needs_ascii_folders = pytest.mark.skipif(
    not (sys.prefix.isascii() and REPOSITORY.as_posix().isascii()),
    reason="an interpreter in such a folder does not start in the C locale",
)


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        pytest.param({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, marks=needs_ascii_folders),
    ],
)
def test_a_terminal_that_cannot_show_a_character_is_shown_another(
    variables: dict[str, str], finished: RunFolder
) -> None:
    done = run("report", finished.path, env=os.environ | variables)
    assert (done.returncode, done.stderr) == (0, b""), done
    assert b"PASSED: " in done.stdout
    refused = run("run", "--suite", "größe\u2028", env=os.environ | variables)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_interruption(number: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        [*FLAMETEST, "selftest", "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        waiting_for_children(command.pid)
        command.send_signal(number)
        _, said = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 130
    assert said == "interrupted; everything that was started has been ended\n"


def waiting_for_children(pid: int) -> None:
    """Return when a process has started others."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not children.read_text():
        assert children.exists()


def test_the_command_line_and_the_documentation_name_every_code() -> None:
    told = run("--help").stdout.decode()
    for page in ("README.md", "docs/ci.md"):
        rows = [line for line in (REPOSITORY / page).read_text().splitlines() if line.startswith("| ")]
        named = {row.split("|")[1].strip() for row in rows}
        assert {str(int(code)) for code in ExitCode} <= named, page
    for code in ExitCode:
        assert f" {int(code)} " in " ".join(told.split()), code


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb", "a b"),
        ("a\u2028b", "a\\u2028b"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("4.1 s (± 0.06 s)", "4.1 s (± 0.06 s)"),
        ("lone \udcff", "lone \\udcff"),
    ],
)
def test_one_line_is_one_line(text: str, line: str) -> None:
    assert one_line(text) == line
