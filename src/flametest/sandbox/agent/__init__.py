"""The agent of the sandbox: runs pods as processes, probes them, restarts them, keeps their logs."""

from flametest.sandbox.agent.agent import Agent
from flametest.sandbox.agent.memory import MemoryRuntime, Program
from flametest.sandbox.agent.processes import ProcessRuntime
from flametest.sandbox.agent.settings import AgentSettings

__all__ = ["Agent", "AgentSettings", "MemoryRuntime", "ProcessRuntime", "Program"]
