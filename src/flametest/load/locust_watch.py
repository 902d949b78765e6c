"""Watches Locust itself, in its own process, and keeps an account of what went wrong there.

Locust logs an error of a listener or a task and goes on, and a user whose greenlet died is not missed by anybody. The
account that is kept here is written by `locust_export` and told by `locust_serve`. One for the process.
"""

import json
import os
import sysconfig
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import locust
from locust.event import EventHook
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser
from locust.runners import MasterRunner, WorkerRunner
from locust.user.task import DefaultTaskSet

from flametest.load.generator import Account
from flametest.model.events import LoadTrouble

__all__ = ["ACCOUNT", "AccountFile", "look_after_users", "watch", "watch_blocks"]

ACCOUNT = Account()

# Raised to steer a user or the test, and no error.
_STEERING = (StopUser, StopTest, RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet)
_LOCUST = str(Path(locust.__file__).parent)
_LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), str(Path(__file__).parent), "<")


class _Listener:
    """A listener of the load test whose errors are noted before Locust logs them. Equal to what it stands for."""

    def __init__(self, event: str, listener: Callable[..., Any]) -> None:
        self._event = event
        self._listener = listener

    def __call__(self, **arguments: Any) -> Any:
        try:
            return self._listener(**arguments)
        except _STEERING:
            raise
        except Exception as error:
            ACCOUNT.note(LoadTrouble.LISTENER, self._event, error, time.monotonic_ns())
            raise

    def __eq__(self, other: object) -> bool:
        return self is other or self._listener == other

    def __hash__(self) -> int:
        return hash(self._listener)


def watch(environment: Any) -> None:
    """Keep account of this environment: of errors of listeners, tasks and greenlets, and of the load's own end."""
    for name, hook in vars(environment.events).items():
        if isinstance(hook, EventHook):
            _watch_listeners(name, hook)
    environment.events.user_error.add_listener(_note_task)
    environment.events.test_stopping.add_listener(_note_end)
    environment.events.quitting.add_listener(_note_quitting)
    _watch_greenlets()


def _watch_listeners(name: str, hook: EventHook) -> None:
    hook._handlers[:] = [_Listener(name, one) for one in hook._handlers]
    add = hook.add_listener

    def add_watched(listener: Any) -> Any:
        add(_Listener(name, listener))
        return listener

    hook.add_listener = add_watched


def _note_task(*, user_instance: Any, exception: BaseException, tb: Any, **_: Any) -> None:
    frames = traceback.extract_tb(tb)
    own = [frame for frame in frames if not frame.filename.startswith(_LOCUST)]
    # What runs a user's own tasks is a set of tasks that Locust made for it.
    holder = user_instance.user if type(user_instance) is DefaultTaskSet else user_instance
    where = type(holder).__name__ + (f".{own[0].name}" if own else "")
    ACCOUNT.note(LoadTrouble.TASK, where, exception, time.monotonic_ns())


def _note_end(*, environment: Any, **_: Any) -> None:
    ended_by = _what_ends_it()
    # A worker's load is ended by its master, which knows why.
    if ended_by or not isinstance(environment.runner, WorkerRunner):
        ACCOUNT.note_end(ended_by or "Locust ended it", time.monotonic_ns())


def _note_quitting(**_: Any) -> None:
    # Fired when Locust ends: told to by a signal, or because the load has ended already.
    ACCOUNT.is_stopping = True


def _watch_greenlets() -> None:
    """Note each greenlet that ends by an exception: the hub is told of it, whoever spawned it."""
    hub = gevent.get_hub()
    handle = hub.handle_error

    def handle_noted(context: Any, kind: Any, value: Any, tb: Any) -> None:
        if isinstance(value, Exception) and not isinstance(value, _STEERING):
            ACCOUNT.note(LoadTrouble.DIED, _title(context), value, time.monotonic_ns())
        handle(context, kind, value, tb)

    hub.handle_error = handle_noted


def _title(greenlet: Any) -> str:
    """Return what a greenlet is for: the class of its user, or the function that it runs."""
    arguments = getattr(greenlet, "args", ())
    if arguments and isinstance(arguments[0], locust.User):
        return f"user {type(arguments[0]).__name__}"
    return str(getattr(getattr(greenlet, "_run", None), "__qualname__", "") or type(greenlet).__name__)


def _what_ends_it() -> str:
    """Return what of the load test ends the load, from who called: its shape, its run time, or a line of its code.

    Empty where only Locust itself did.
    """
    for frame, line in traceback.walk_stack(None):
        code = frame.f_code
        if code.co_filename.startswith(_LOCUST):
            if code.co_name == "shape_worker":
                return "its shape ended"
            if code.co_name == "stop_and_optionally_quit":
                return "its run time was over"
            if code.co_name == "handler":
                return "a StopTest ended it"
        elif not code.co_filename.startswith(_LIBRARIES):
            return f"{Path(code.co_filename).name}:{line} ({code.co_name}) ended it"
    return ""


def watch_blocks(tell: Callable[[dict[str, Any]], None]) -> None:
    """Have ``tell`` called with each request whose ``with`` block (``catch_response=True``) ended by an exception.

    Locust passes the exception on and says nothing of the request, so that an answer over which the load test
    stumbled, such as an error page in place of JSON, would not count as bad, but not at all.
    """
    from locust.clients import ResponseContextManager as OfRequests  # noqa: PLC0415 (both are called alike)
    from locust.contrib.fasthttp import ResponseContextManager as OfGevent  # noqa: PLC0415

    for block in (OfRequests, OfGevent):
        block.__exit__ = _telling(block.__exit__, tell)


def _telling(leave: Callable[..., Any], tell: Callable[[dict[str, Any]], None]) -> Callable[..., Any]:
    def leave_told(block: Any, kind: Any, error: BaseException | None, tb: Any) -> Any:
        is_silent = isinstance(error, Exception) and block._manual_result is None
        is_handled = leave(block, kind, error, tb)
        if is_silent and not is_handled:
            stumbled = {} if isinstance(error, _STEERING) else {"exception": error}
            tell({**block.request_meta, **stumbled})
        return is_handled

    return leave_told


def look_after_users(environment: Any, lacked_before: int) -> int:
    """Note users that are missing, and return how many are missing now.

    A lack counts when it was there at the last look too: a user that ends takes a moment to be replaced, if it is.
    """
    runner = environment.runner
    if runner is None or runner.state != "running" or ACCOUNT.is_stopping or isinstance(runner, MasterRunner):
        return 0
    wanted, running = runner.target_user_count, runner.user_count
    ACCOUNT.users = ACCOUNT.users or wanted
    lack = max(0, int(wanted - running))
    if lack and lacked_before:
        ACCOUNT.note_missing(wanted - min(lack, lacked_before), wanted, time.monotonic_ns())
    return lack


class AccountFile:
    """The account as a file, rewritten whenever it has changed; whoever reads it meanwhile sees a whole one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fresh = path.with_name(f".{path.name}.new")
        self._written = ""

    def flush(self) -> None:
        """Write it if it has changed."""
        text = json.dumps(ACCOUNT.told())
        if text != self._written:
            self._fresh.write_text(text, encoding="utf-8")
            os.replace(self._fresh, self._path)
            self._written = text
