"""The courier: takes parcels from the queue and delivers them, until SIGTERM.

A parcel that is taken stands in a second list until it is delivered. Every courier puts back what it finds there when
it starts and after each error; what another one had in its hands then is delivered twice, and kept once.
"""

import asyncio
import os
import signal
import sys

from psycopg import Error as PostgresError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger import Ledger

QUEUE, TAKEN = "parcels", "parcels:taken"
QUEUE_SECONDS = 1  # after so long without a parcel it looks whether it is to end
RETRY_SECONDS = 0.5
DELIVERY_SECONDS_MAX = 5.0


async def main() -> None:
    """Deliver parcels until SIGTERM."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    redis = Redis.from_url(
        os.environ.get("QUEUE_URL", "redis://redis:6379/0"),
        socket_timeout=5,
        socket_connect_timeout=2,
        decode_responses=True,
    )
    ledger = Ledger(DELIVERY_SECONDS_MAX)
    while not ending.is_set():
        try:
            await put_back(redis)
            while not ending.is_set():
                await deliver(redis, ledger)
        except (RedisError, PostgresError, TimeoutError) as error:
            print(f"tries again: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(RETRY_SECONDS)
    await redis.aclose()
    await ledger.close()


async def put_back(redis: Redis) -> None:
    """Put back into the queue what was taken and not delivered."""
    while await redis.lmove(TAKEN, QUEUE, "RIGHT", "RIGHT"):
        pass


async def deliver(redis: Redis, ledger: Ledger) -> None:
    """Deliver the next parcel, if there is one."""
    parcel = await redis.blmove(QUEUE, TAKEN, QUEUE_SECONDS, "RIGHT", "LEFT")
    if parcel:
        await ledger.deliver(str(parcel))
        await redis.lrem(TAKEN, 1, str(parcel))


if __name__ == "__main__":
    asyncio.run(main())
