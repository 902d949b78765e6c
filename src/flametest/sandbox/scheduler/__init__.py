"""The scheduler: chooses a node for every pod that has none, and binds it."""

from flametest.sandbox.scheduler.choice import Placement, Refusal, choose
from flametest.sandbox.scheduler.loop import Scheduler
from flametest.sandbox.scheduler.view import NodeView

__all__ = ["NodeView", "Placement", "Refusal", "Scheduler", "choose"]
