"""Which capabilities a container's root has: those that container engines leave it, less what its spec drops. Pure."""

from flametest.sandbox.objects import Object

__all__ = ["CAPABILITIES", "capabilities_of"]

# What a container engine leaves to a container's root.
CAPABILITIES = (
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "mknod",
    "net_bind_service",
    "net_raw",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
    "audit_write",
)


def capabilities_of(container: Object) -> tuple[str, ...]:
    """Return the capabilities of a container in lower case, without ``CAP_``.

    ``drop`` takes away, ``add`` gives back what was dropped and nothing more.
    """
    given = (container.get("securityContext") or {}).get("capabilities") or {}
    dropped, added = ({_name(one) for one in given.get(key) or ()} for key in ("drop", "add"))
    if "all" in dropped:
        dropped = set(CAPABILITIES)
    if "all" in added:
        added = set(CAPABILITIES)
    return tuple(one for one in CAPABILITIES if one not in dropped or one in added)


def _name(text: object) -> str:
    return str(text).lower().removeprefix("cap_")
