"""What was found out about a system, as one JSON object for tools. Pure.

docs/init-json.md describes it. Names stay the same between versions of one `FORMAT_VERSION`; new ones may be added.
"""

from typing import Any

from flametest.starter.evidence import Evidence
from flametest.starter.system import Service, Workload
from flametest.starter.topology import Topology
from flametest.starter.weakness import Weakness

__all__ = ["FORMAT_VERSION", "account"]

FORMAT_VERSION = 1

Object = dict[str, Any]


def account(topology: Topology, weaknesses: tuple[Weakness, ...], url: str, paths: tuple[str, ...]) -> Object:
    """Return what was found out.

    Args:
        topology: the system.
        weaknesses: its weaknesses.
        url: where users enter; empty where that is not known.
        paths: what they ask for.
    """
    system, entrance = topology.system, topology.entrance
    return {
        "version": FORMAT_VERSION,
        "namespace": system.namespace,
        "origin": system.origin,
        "consents": system.consents,
        "notes": list(system.notes),
        "unread": list(system.unread),
        "workloads": [_workload(topology, one) for one in system.workloads],
        "services": [_service(topology, one) for one in system.services],
        "entry": {
            "service": entrance.service.name if entrance.service else None,
            "reason": entrance.reason,
            "certainty": entrance.certainty,
            "evidence": _evidence(entrance.evidence),
            "alternatives": list(entrance.alternatives),
            "url": url or None,
            "paths": list(paths),
        },
        "needs": [
            {
                "workload": str(one.workload),
                "service": one.service,
                "port": one.port or None,
                "certainty": one.certainty,
                "evidence": _evidence(one.evidence),
            }
            for one in topology.dependencies
        ],
        "outside": [
            {"workload": workload, "host": host} for workload, hosts in topology.needs.outside.items() for host in hosts
        ],
        "findings": [_finding(one) for one in weaknesses],
    }


def _workload(topology: Topology, one: Workload) -> Object:
    role = topology.role_of(one)
    return {
        "kind": one.kind,
        "name": one.name,
        "pods": one.replicas,
        "place": topology.system.place(one.kind, one.name) or None,
        "services": list(topology.services_of(one)),
        "readiness": any(container.readiness for container in one.containers),
        "liveness": any(container.liveness for container in one.containers),
        "budgets": [budget.name for budget in topology.system.budgets if budget.covers(one)],
        "role": {
            "name": role.name,
            "reason": role.reason,
            "certainty": role.certainty,
            "keeps_data": role.keeps_data,
            "evidence": _evidence(role.evidence),
        },
    }


def _service(topology: Topology, one: Service) -> Object:
    return {
        "name": one.name,
        "type": one.kind,
        "place": topology.system.place("Service", one.name) or None,
        "ports": [{"port": port.number, "protocol": port.protocol} for port in one.ports],
        "workloads": [str(workload) for workload in topology.behind[one.name]],
        "has_pods": one.name in topology.backed,
    }


def _finding(one: Weakness) -> Object:
    return {
        "rule": one.rule,
        "severity": one.severity,
        "part": one.part,
        "title": f"{one.part}: {one.rule}",
        "evidence": one.evidence,
        "advice": one.advice,
        "certainty": one.certainty,
        "at": _evidence(one.at),
    }


def _evidence(one: Evidence) -> Object:
    return {"part": one.part, "field": one.field or None, "place": one.place or None}
