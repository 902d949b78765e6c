"""What Locust loads first when it is started before its users may come: it waits until it is let.

By then Locust and the load test are imported, and no user was started. Lives in Locust's process.
"""

import os
import sys
from typing import Any

from locust import events

from flametest.load.errors import LoadError
from flametest.load.starting import await_release


def _on_init(**_: Any) -> None:
    try:
        await_release(os.environ)
    except LoadError as error:  # Locust would log it, and go on
        sys.exit(error.message)


events.init.add_listener(_on_init)
