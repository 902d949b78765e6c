"""What can be set about the agent."""

from dataclasses import dataclass

from flametest.sandbox.settings import CLUSTER_DOMAIN, DNS_ADDRESS, NodeSettings
from flametest.sandbox.tokens import ServiceAccountTokens

__all__ = ["AgentSettings"]


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How the agent works.

    Attributes:
        state_folder: where pods' files, logs and claims are kept; must exist and belong to this sandbox alone.
        nodes: the simulated nodes that the agent speaks for.
        pods_max: pods a node takes, as the kubelet's default.
        cluster_dns: address of the cluster's name server, for /etc/resolv.conf.
        cluster_domain: the domain that names of Services end with.
        tokens: issues what projected token volumes hold, for each pod that of its own service account.
        api_certificate: the API server's certificate (PEM) for the same volumes.
        lease_seconds: between renewals of a node's lease; a tenth of the kubelet's default, as is the time after which
            a silent node counts as lost, so that people need not wait for most of a minute.
        status_seconds: between reports of a node that has not changed (the kubelet's default).
        backoff_seconds: what the second restart of a failing container is held back; doubles with each.
        backoff_seconds_max: bound of that; also of failed pulls.
        volume_retry_seconds: between attempts to mount what is missing.
        notice_seconds: between a container's start and its first probe at the earliest; a tenth of what the kubelet
            takes at most to notice a start, since it asks the runtime once a second what runs.
        log_bytes_max: size of a log file before it is renamed; one renamed file is kept.
    """

    state_folder: str
    nodes: tuple[NodeSettings, ...]
    pods_max: int = 110
    cluster_dns: str = DNS_ADDRESS
    cluster_domain: str = CLUSTER_DOMAIN
    tokens: ServiceAccountTokens | None = None
    api_certificate: str = ""
    lease_seconds: float = 1.0
    status_seconds: float = 300.0
    backoff_seconds: float = 10.0
    backoff_seconds_max: float = 300.0
    volume_retry_seconds: float = 0.5
    notice_seconds: float = 0.1
    log_bytes_max: int = 10 * 1024 * 1024
