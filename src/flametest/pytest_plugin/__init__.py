"""The pytest plugin: tests that break a system and judge what users felt, beside a project's other tests.

    from flametest.pytest_plugin import delete_pods

    def test_checkout_survives_a_lost_pod(system):
        with system.load("/shop/api/events", rate=50), system.fault(delete_pods("api", count=1)) as felt:
            felt.wait_recovered(seconds=30)
        assert felt.outage_seconds < 1

plugin         what pytest loads: options, the fixture, hooks
settings       what options and ini files say, and what workers are told; the session of a process
system         the fixture's object: load, fault, and their records
faults         what tests ask for: one function a fault
experiments    experiment files as tests
outcomes       errors that are no failures of a test, and pytest's exit status

Every pytest of an environment loads the plugin, so nothing is imported beside the standard library before a fixture or
an option asks for it.
"""

from typing import TYPE_CHECKING, Any

from flametest.pytest_plugin.faults import (
    FaultRequest,
    add_latency,
    crash_container,
    delete_pods,
    disturb_edge,
    drain_node,
    fail_requests,
    no_fault,
    partition_network,
    remove_service,
    restart_rollout,
    roll_out_bad_image,
    scale,
    stop_node,
    stop_workload,
)

if TYPE_CHECKING:
    from flametest.pytest_plugin.system import System
    from flametest.run.felt import Felt, FeltError, InconclusiveError, NotRecoveredError, Writes

__all__ = [
    "FaultRequest",
    "Felt",
    "FeltError",
    "InconclusiveError",
    "NotRecoveredError",
    "System",
    "Writes",
    "add_latency",
    "crash_container",
    "delete_pods",
    "disturb_edge",
    "drain_node",
    "fail_requests",
    "no_fault",
    "partition_network",
    "remove_service",
    "restart_rollout",
    "roll_out_bad_image",
    "scale",
    "stop_node",
    "stop_workload",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Return what is imported only when it is asked for."""
        if name == "System":
            from flametest.pytest_plugin.system import System  # noqa: PLC0415

            return System
        if name in __all__:
            from flametest.run import felt  # noqa: PLC0415

            return getattr(felt, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
