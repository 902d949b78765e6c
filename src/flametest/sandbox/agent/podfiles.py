"""Texts that the agent writes for a pod: /etc/hosts and /etc/resolv.conf. Pure but for the machine's own resolver."""

from pathlib import Path

from flametest.sandbox.agent.environment import hostname_of
from flametest.sandbox.agent.settings import AgentSettings
from flametest.sandbox.objects import Object

__all__ = ["hosts_text", "resolver_text"]

_HOSTS = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def hosts_text(pod: Object, address: str, settings: AgentSettings) -> str:
    """Return /etc/hosts: the pod's own name, and its hostAliases."""
    spec = pod["spec"]
    name = hostname_of(pod)
    names = name
    if spec.get("subdomain"):
        names = f"{name}.{spec['subdomain']}.{pod['metadata']['namespace']}.svc.{settings.cluster_domain}\t{name}"
    text = f"{_HOSTS}{address}\t{names}\n"
    aliases = spec.get("hostAliases") or []
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{alias['ip']}\t{chr(9).join(alias.get('hostnames') or [])}\n" for alias in aliases)
    return text


def resolver_text(pod: Object, settings: AgentSettings, host_file: str = "/etc/resolv.conf") -> str:
    """Return /etc/resolv.conf by the pod's dnsPolicy and dnsConfig."""
    policy, config = pod["spec"].get("dnsPolicy", "ClusterFirst"), pod["spec"].get("dnsConfig") or {}
    if policy == "Default":
        host = Path(host_file)
        return host.read_text(encoding="utf-8") if host.exists() else ""
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str | None] = {}
    if policy != "None":
        namespace, domain = pod["metadata"]["namespace"], settings.cluster_domain
        servers = [settings.cluster_dns]
        searches = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain]
        options = {"ndots": "5"}
    servers += [server for server in config.get("nameservers") or [] if server not in servers]
    searches += [search for search in config.get("searches") or [] if search not in searches]
    options.update({option["name"]: option.get("value") for option in config.get("options") or []})
    lines = [f"search {' '.join(searches)}"] if searches else []
    lines += [f"nameserver {server}" for server in servers]
    if options:
        words = [name if value is None else f"{name}:{value}" for name, value in options.items()]
        lines.append(f"options {' '.join(words)}")
    return "\n".join(lines) + "\n"
