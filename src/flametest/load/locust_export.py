"""What Locust loads before the load test (``-f locust_export.py,locustfile.py``): each request becomes a sample.

It has no users of its own and works with any load test. A load test that puts ``intended_ns`` and ``sent_ns`` into a
request's context, as loadtests/locustfile.py does, has its latency counted from the intended start; otherwise both
are the time of sending. The file is named by FLAMETEST_LOAD_SAMPLES; the generator's account of itself lies beside it.
Lives in Locust's process, as long as it.

It is loaded first so that its listener hears of a request first: one of the load test's that raises to steer its user
ends the round, and whoever comes after it hears nothing.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

import gevent
from locust import events

from flametest.load.generator import GENERATOR_FILE
from flametest.load.locust_sample import make_sample
from flametest.load.locust_watch import ACCOUNT, AccountFile, look_after_users, watch, watch_blocks
from flametest.load.samplefile import FLUSH_SECONDS, SampleFile
from flametest.model.events import LoadTrouble

__all__ = ["SAMPLES_VARIABLE"]

SAMPLES_VARIABLE = "FLAMETEST_LOAD_SAMPLES"
_LOOK_SECONDS = 0.5  # how often users are looked after


class _Recorder:
    """Records the requests of this process; one for it."""

    def __init__(self, path: Path) -> None:
        self._file = SampleFile(path)
        self._account = AccountFile(path.with_name(GENERATOR_FILE))
        self._parent = os.getppid()

    def keep(self, event: dict[str, Any]) -> None:
        """Keep a request as a sample, or tell that it is none."""
        done_ns = time.monotonic_ns()
        try:
            self._file.append(make_sample(event, done_ns))
        except Exception as error:
            ACCOUNT.note(LoadTrouble.UNRECORDED, str(event.get("request_type", ""))[:40], error, done_ns)

    def flush(self) -> None:
        """Write what was kept."""
        self._file.flush()
        self._account.flush()

    def close(self, **_: Any) -> None:
        """Write the rest; nothing is kept after this."""
        self._file.close()
        self._account.flush()

    def keep_house(self, environment: Any) -> None:
        """Flush, and look after the users, until the parent is gone."""
        looked_at, lack = time.monotonic(), 0
        while True:
            gevent.sleep(FLUSH_SECONDS)
            if time.monotonic() - looked_at >= _LOOK_SECONDS:
                looked_at, lack = time.monotonic(), look_after_users(environment, lack)
            self.flush()
            if os.getppid() != self._parent:
                # Whoever wanted this load is gone; nobody else would end it.
                environment.runner.quit()
                return


def _stop_shape(environment: Any) -> None:
    """End a load with a shape when told to: Locust takes SIGTERM only once its shape has ended."""
    ACCOUNT.is_stopping = True
    environment.runner.quit()


def _on_init(environment: Any, **_: Any) -> None:
    if path := os.environ.get(SAMPLES_VARIABLE):
        recorder = _Recorder(Path(path))
        watch(environment)
        watch_blocks(recorder.keep)
        _recorders.append(recorder)
        house = gevent.spawn(recorder.keep_house, environment)

        def on_quit(**_: Any) -> None:
            house.kill()
            recorder.close()

        environment.events.quit.add_listener(on_quit)
        if environment.shape_class is not None:
            gevent.signal_handler(signal.SIGTERM, _stop_shape, environment)


def _on_request(**event: Any) -> None:
    for recorder in _recorders:
        recorder.keep(event)


_recorders: list[_Recorder] = []
events.request.add_listener(_on_request)
events.init.add_listener(_on_init)
