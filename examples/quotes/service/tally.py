"""The worker: takes votes from the queue and counts them, until SIGTERM.

A vote that was taken when Redis goes away before it is counted is lost: the first thing to improve here.
"""

import os
import signal
import sys
import time

from redis import Redis
from redis.exceptions import RedisError

QUEUE_SECONDS = 1  # after so long without a vote it looks whether it is to end
RETRY_SECONDS = 0.5


def main() -> None:
    """Count votes until SIGTERM."""
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ending.append(number))
    redis = Redis.from_url(os.environ.get("REDIS_URL", "redis://redis:6379/0"), socket_timeout=5, decode_responses=True)
    while not ending:
        try:
            taken = redis.blpop(["queue"], timeout=QUEUE_SECONDS)
            if taken:
                redis.hincrby("votes", taken[1], 1)
        except RedisError as error:
            print(f"waiting for Redis: {error}", file=sys.stderr, flush=True)
            time.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    main()
