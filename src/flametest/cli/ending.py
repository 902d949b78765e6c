"""How every command ends: with a documented exit code and, when something went wrong, with one line and its remedy.

An unexpected error is one line too: its traceback is saved in the state folder, readable by its owner alone,
and without what looks like a secret. Only the standard library is imported before a command runs, so that an
installation which is broken is told in the same way.
"""

import errno
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from flametest.cli.streams import OutputClosed, one_line, output_is_gone, reader_watched, standard_streams
from flametest.model.errors import FlametestError
from flametest.model.homes import state_home
from flametest.run.exitcodes import ExitCode
from flametest.run.interrupt import interruptible

__all__ = ["NotHealedError", "guarded"]

_FOLDER = "errors"
# What the machine or its user has to fix, whatever it happened to.
_SURROUNDINGS = frozenset(
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EFBIG", "EIO", "EMFILE", "ENFILE", "ENAMETOOLONG"),
        *("ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENOMEM", "EAGAIN", "ETXTBSY", "ESTALE", "ENXIO", "ENODEV"),
    )
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # a JSON web token
    re.compile(r"(?i)(?<=bearer )[^\s'\",]+"),
    re.compile(r"(?<=://)[^/\s@'\"]+(?=@)"),
    re.compile(r"(?i)(?P<name>(password|passwd|secret|token|api.?key|authorization)['\"]?\s*[:=]\s*['\"]?)[^\s'\",)]+"),
)


class NotHealedError(Exception):
    """Raised from the error that ended a command which leaves something unhealed behind."""


def guarded(command: Callable[[], int | None]) -> int:
    """Return the exit code with which ``command`` ends, whatever happens in it; None counts as 0."""
    try:
        with standard_streams():
            return _ended(command)
    except (OutputClosed, FlametestError) as error:  # of what was still to be written
        return _told(error)


def _ended(command: Callable[[], int | None]) -> int:
    try:
        with interruptible(), reader_watched():
            return int(command() or 0)
    except NotHealedError as error:
        _told(error.__cause__ or error)
        return ExitCode.NOT_HEALED
    except BaseException as error:
        return _told(error)


def _told(error: BaseException) -> int:
    """Tell what ended a command, and return the exit code that stands for it."""
    match _as_ours(error):
        case KeyboardInterrupt() as interruption if isinstance(interruption, OutputClosed) or output_is_gone():
            return ExitCode.OUTPUT_CLOSED
        case KeyboardInterrupt():
            return _say("interrupted; everything that was started has been ended", ExitCode.INTERRUPTED)
        case FlametestError() as known:
            return _complain(known)
        case SystemExit(code=code) if code in (ExitCode.PASSED, ExitCode.USAGE):
            return int(code)
        case unforeseen:
            return _say(_unforeseen(unforeseen), ExitCode.UNFORESEEN)


def _as_ours(error: BaseException) -> BaseException:
    """Return the error in our own words where a library or the machine raised one that users can act on."""
    if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
        return _of_surroundings(error)
    if sys.modules.get("click") is None:
        return error
    import click  # noqa: PLC0415 (see the module's head)

    if isinstance(error, click.Abort):  # how click passes on an interruption
        return error.__cause__ if isinstance(error.__cause__, OutputClosed) else KeyboardInterrupt()
    if isinstance(error, click.ClickException):
        error.show()  # with the usage
        return SystemExit(int(ExitCode.USAGE))
    return error


def _complain(error: FlametestError) -> ExitCode:
    for detail in error.details:
        _say(detail, ExitCode.USAGE)
    _say(f"error: {error.message}", ExitCode.USAGE)
    return _say(f"remedy: {error.remedy}", ExitCode.USAGE) if error.remedy else ExitCode.USAGE


def _of_surroundings(error: OSError) -> FlametestError:
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    full = "make room on that disk, or name another folder" if error.errno in _FULL else ""
    return FlametestError(f"{where}{error.strerror or error}", full or "see that it can be read and written to")


def _say(line: str, code: ExitCode) -> ExitCode:
    print(one_line(line), file=sys.stderr)
    return code


def _unforeseen(error: BaseException) -> str:
    said = without_secrets(one_line(f"{type(error).__name__}: {error}").rstrip(": "))
    try:
        saved = f"its traceback is in {_save(error)}"
    except OSError as problem:
        saved = f"its traceback cannot be saved ({problem.strerror})"
    return f"error: unexpected {said[:400]}; {saved}; please report it"


def _save(error: BaseException) -> Path:
    """Save the traceback where only its owner can read it, and return the file.

    Raises:
        OSError: it cannot be written there.
    """
    folder = state_home(os.environ) / _FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}-{os.getpid()}.txt"
    text = "".join(traceback.format_exception(error))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(without_secrets(text).encode(errors="backslashreplace"))
    return path


def without_secrets(text: str) -> str:
    """Return ``text`` without what looks like a key, a token, or a password."""
    for secret in _SECRETS:
        text = secret.sub(lambda found: f"{found.groupdict().get('name') or ''}[removed]", text)
    return text
