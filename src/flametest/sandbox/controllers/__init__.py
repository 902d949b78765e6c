"""Controllers: each compares what is with what is wanted, and changes the state until they agree."""

from flametest.sandbox.controllers.manager import ControllerManager

__all__ = ["ControllerManager"]
