"""Which contexts of a kubeconfig Flametest may touch: a list that the user writes, and nothing adds to.

    # ~/.config/flametest/allowed-contexts.toml
    [contexts.staging]
    server = "https://staging.example:6443"     # optional: the name alone may be given to another cluster later

A context that is not listed is refused before a single request is sent, unless the user repeats its name for this once.
`check_environment` asks the same of the context that a stock ``chaos run`` finds in its environment.
"""

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path

from flametest.clusters.protocol import KNOWN_CONTEXT, ClusterError
from flametest.kube.kubeconfigs import ContextEntry, kubeconfig_files, read_context
from flametest.model.homes import config_home

__all__ = ["ALLOW_LIST", "check_allowed", "check_environment", "read_allowed"]

ALLOW_LIST = "allowed-contexts.toml"
"""Name of the file, in the folder of what a user configures."""

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def check_environment(environment: Mapping[str, str]) -> None:
    """Return if the context that an environment names may be touched; sends nothing.

    That of the sandbox says by itself that it is Flametest's own; others are allowed by the list, or for this once by
    ``flametest env`` and ``flametest run``, which have asked already.

    Raises:
        ClusterError: it may not, or there is none.
    """
    name = environment.get("KUBERNETES_CONTEXT", "")
    entry = read_context(kubeconfig_files(environment.get("KUBECONFIG", "")), name)
    if entry.is_own or environment.get(KNOWN_CONTEXT) == name:
        return
    check_allowed(entry, config_home(environment) / ALLOW_LIST, "", f"export {KNOWN_CONTEXT}={shlex.quote(name)}")


def check_allowed(entry: ContextEntry, allow_list: Path | None, repeated: str, once: str = "") -> None:
    """Return if a context may be touched; sends nothing.

    Args:
        entry: the context.
        allow_list: the file; None, or one that does not exist, allows none.
        repeated: the name that the user gave to ``--i-know-this-cluster``.
        once: how the user can repeat its name; by that option if empty.

    Raises:
        ClusterError: it may not.
    """
    if repeated:
        if repeated != entry.name:
            raise ClusterError(
                f"--i-know-this-cluster {repeated!r} is not the context {entry.name!r}; nothing was asked of it",
                "repeat the context's own name, letter by letter",
            )
        return
    place = allow_list or Path(ALLOW_LIST)
    allowed = read_allowed(allow_list) if allow_list is not None else {}
    if entry.name not in allowed:
        raise ClusterError(
            f"context {entry.name!r} ({entry.server}) is not allowed; nothing was asked of it",
            f"if faults may be injected there, add {_lines(entry)} to {place}, "
            f"or repeat its name for this once: {once or f'--i-know-this-cluster {entry.name}'}",
        )
    server = allowed[entry.name]
    if server and server.rstrip("/") != entry.server.rstrip("/"):
        raise ClusterError(
            f"context {entry.name!r} leads to {entry.server}, but {place} allows it for {server}; "
            "nothing was asked of it",
            "is it another cluster now? fix the list or the kubeconfig",
        )


def read_allowed(allow_list: Path) -> Mapping[str, str]:
    """Return the allowed contexts by name, each with the server that it has to lead to; empty for any.

    Raises:
        ClusterError: the file exists and cannot be understood.
    """
    try:
        document = tomllib.loads(allow_list.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ClusterError(f"{allow_list} cannot be read: {error}", "fix the file") from error
    contexts = document.get("contexts", {})
    if set(document) - {"contexts"} or not isinstance(contexts, dict):
        raise ClusterError(
            f"{allow_list}: expected tables [contexts.NAME] and nothing else, found {', '.join(sorted(document))}",
            "fix the file",
        )
    for name, entry in contexts.items():
        if not isinstance(entry, dict) or set(entry) - {"server"} or not isinstance(entry.get("server", ""), str):
            raise ClusterError(
                f"{allow_list}: the table of context {name!r} holds more than a text called server", "fix the file"
            )
    return {str(name): str(entry.get("server", "")) for name, entry in contexts.items()}


def _lines(entry: ContextEntry) -> str:
    """Return what to add to the list, in one line."""
    name = entry.name if _BARE.match(entry.name) else json.dumps(entry.name)
    return f"`contexts.{name}.server = {json.dumps(entry.server)}`"
