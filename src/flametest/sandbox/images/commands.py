"""The commands of a RUN, CMD or ENTRYPOINT instruction, read without running them.

Of the shell's language this knows what Dockerfiles use: lists (``&&``, ``||``, ``;``, pipes), quotes, redirections,
variables set before a command, and the words around it, such as ``if`` or ``sudo``.
Format: https://docs.docker.com/reference/dockerfile/#run
"""

import json
import re
import shlex
from dataclasses import dataclass

__all__ = ["INSTALLERS", "Run", "read_run", "without_here_documents", "without_runner"]

INSTALLERS = ("pip", "uv", "pipenv", "poetry")

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPTION = re.compile(r"\s*--(mount|network|security)=(\S+)")
_HERE_DOCUMENT = re.compile(
    r"""^[ \t]*RUN[ \t]+((?:--\S+[ \t]+)*)<<-?["']?(\w+)["']?[ \t]*\n(.*?)^[ \t]*\2[ \t]*$""",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_BEFORE_COMMANDS = frozenset(("!", "do", "else", "env", "exec", "if", "sudo", "then", "time", "while", "{"))
_SHELLS = frozenset(("ash", "bash", "dash", "sh"))
_RUNNER_OPTIONS = ("--frozen", "--locked", "--no-dev", "--no-sync", "--offline", "--")
_RUNNER_IN_SHELL = re.compile(
    rf"^(\s*(?:exec\s+)?)(?:uv|pipenv|poetry)\s+run\s+(?:(?:{'|'.join(_RUNNER_OPTIONS)})\s+)*(?!-)"
)


@dataclass(frozen=True, slots=True)
class Run:
    """What a RUN instruction runs.

    Attributes:
        commands: the words of each command, in order.
        mounts: target and source of each file or folder of the build context that is mounted meanwhile.
    """

    commands: tuple[tuple[str, ...], ...]
    mounts: tuple[tuple[str, str], ...] = ()


def read_run(value: str) -> Run:
    """Return what a RUN instruction runs; variables stay as they are written.

    Raises:
        ValueError: a quotation has no end.
    """
    mounts = []
    while option := _OPTION.match(value):
        value = value[option.end() :]
        fields = dict(part.partition("=")[::2] for part in option[2].split(","))
        target = fields.get("target") or fields.get("dst") or fields.get("destination")
        if option[1] == "mount" and fields.get("type", "bind") == "bind" and target and "from" not in fields:
            mounts.append((target, fields.get("source") or fields.get("src") or "."))
    words = _exec_form(value)
    found = _commands_of_shell(value) if words is None else _plain(words)
    return Run(tuple(found), tuple(mounts))


def without_here_documents(text: str) -> str:
    """Return a Dockerfile in which each RUN with a here-document is one of the same commands in a line."""
    return _HERE_DOCUMENT.sub(lambda found: f"RUN {found[1]}{_in_one_line(found[3])}", text)


def _in_one_line(script: str) -> str:
    lines = [line.strip() for line in re.sub(r"\\\n", " ", script).splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith("#"))


def _exec_form(value: str) -> list[str] | None:
    try:
        words = json.loads(value) if value.lstrip().startswith("[") else None
    except ValueError:
        return None
    return [str(word) for word in words] if isinstance(words, list) else None


def _commands_of_shell(text: str) -> list[tuple[str, ...]]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    # A word may hold one, as the address of a package does.
    lexer.commenters = ""
    commands: list[tuple[str, ...]] = []
    words: list[str] = []
    skip = False
    for token in lexer:
        if skip:
            skip = False
        elif set(token) <= set("<>&") and set(token) & set("<>"):
            skip = True
            if words and words[-1] in ("1", "2"):
                words.pop()
        elif token and set(token) <= set("();&|"):
            commands += _plain(words)
            words = []
        else:
            words.append(token)
    return commands + _plain(words)


def _plain(words: list[str]) -> list[tuple[str, ...]]:
    """Return a command without what stands before it; a shell with ``-c`` stands for its script's commands."""
    rest = list(words)
    while rest and (rest[0] in _BEFORE_COMMANDS or _ASSIGNMENT.match(rest[0])):
        rest.pop(0)
    if len(rest) > 2 and rest[0].rpartition("/")[2] in _SHELLS:
        script = next((at for at, word in enumerate(rest) if re.fullmatch(r"-\w*c", word)), None)
        if script is not None and script + 1 < len(rest):
            return _commands_of_shell(rest[script + 1])
    return [tuple(rest)] if rest else []


def without_runner(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command without ``uv run`` and the like before it: its packages are on the path already."""
    if command[:2] == ("/bin/sh", "-c"):
        return (*command[:2], *(_RUNNER_IN_SHELL.sub(r"\1", text) for text in command[2:]))
    if len(command) < 2 or command[0] not in INSTALLERS or command[1] != "run":
        return command
    rest = list(command[2:])
    while rest and rest[0] in _RUNNER_OPTIONS:
        rest.pop(0)
    if rest and rest[0].startswith("-"):
        return command
    return ("python", *rest) if rest and rest[0].endswith(".py") else tuple(rest)
