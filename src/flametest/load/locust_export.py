"""What Locust loads beside the load test (``-f locustfile.py,locust_export.py``): each request becomes a sample.

It has no users of its own and works with any load test. A load test that puts ``intended_ns`` and ``sent_ns`` into a
request's context, as loadtests/locustfile.py does, has its latency counted from the intended start; otherwise both
are the time of sending. The file is named by FLAMETEST_LOAD_SAMPLES. Lives in Locust's process, as long as it.
"""

import os
import time
from pathlib import Path
from typing import Any

import gevent
from locust import events

from flametest.load.locust_sample import make_sample
from flametest.load.samplefile import FLUSH_SECONDS, SampleFile

__all__ = ["SAMPLES_VARIABLE"]

SAMPLES_VARIABLE = "FLAMETEST_LOAD_SAMPLES"


def _export(environment: Any, path: Path) -> None:
    file = SampleFile(path)
    parent = os.getppid()

    def on_request(
        *, request_type: str, name: str, response_time: float, response: Any, exception: Any, context: Any, **_: Any
    ) -> None:
        done_ns = time.monotonic_ns()
        sample = make_sample(
            method=request_type,
            name=name,
            response_ms=response_time,
            response=response,
            exception=exception,
            context=context or {},
            done_ns=done_ns,
        )
        file.append(sample)

    def flush_often() -> None:
        while True:
            gevent.sleep(FLUSH_SECONDS)
            file.flush()
            if os.getppid() != parent:
                # Whoever wanted this load is gone; nobody else would end it.
                environment.runner.quit()
                return

    flusher = gevent.spawn(flush_often)

    def on_quit(**_: Any) -> None:
        flusher.kill()
        file.close()

    environment.events.request.add_listener(on_request)
    environment.events.quit.add_listener(on_quit)


def _on_init(environment: Any, **_: Any) -> None:
    if path := os.environ.get(SAMPLES_VARIABLE):
        _export(environment, Path(path))


events.init.add_listener(_on_init)
