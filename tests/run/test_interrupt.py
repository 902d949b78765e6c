"""An interruption reaches the main thread although a signal was lost on the way, and comes once."""

import signal
import threading
from types import FrameType

import pytest

from flametest.run.interrupt import interrupt_main_thread, interruptible


def interrupted_by_another_thread() -> None:
    """Wait in an interruptible block until another thread interrupts."""
    sender = threading.Thread(target=interrupt_main_thread, args=(lambda: False,))
    try:
        with interruptible():
            sender.start()
            sender.join(60)
    finally:
        sender.join(60)
        assert not sender.is_alive()


def test_a_signal_that_was_lost_is_sent_again_and_noticed_once() -> None:
    lost: list[int] = []

    def losing() -> None:
        noticing = signal.getsignal(signal.SIGINT)

        def lose(number: int, _frame: FrameType | None) -> None:
            lost.append(number)
            signal.signal(signal.SIGINT, noticing)

        signal.signal(signal.SIGINT, lose)
        interrupt_main_thread(lambda: False)

    with pytest.raises(KeyboardInterrupt), interruptible():
        losing()
    assert lost == [signal.SIGINT]


def test_whoever_waits_for_the_end_sends_nothing_after_it() -> None:
    with interruptible():
        interrupt_main_thread(lambda: True)


def test_each_outermost_block_can_be_interrupted() -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            interrupted_by_another_thread()
