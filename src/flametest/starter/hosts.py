"""Hosts in texts: found where a host stands, and nowhere else. Pure, and linear in the length of the text.

A host stands after ``//``, after ``@``, before a port, behind a key or an option that asks for one (``host=``,
``--redis-host``), and where a program gets one that waits for it (``nc -z db 5432``). What comes after the host in a
URL, a user's name, a file's name and prose name no host, however much they look like one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from flametest.starter.hostkeys import is_certain_host_key, is_host_key, is_own_address, may_be_kind_of_program

__all__ = ["Mention", "Place", "hosts_in_command", "hosts_in_file", "hosts_in_value"]


class Place(Enum):
    """How a host stands in a text, which tells how certain it is that it is one.

    ADDRESS: in a URL of a network protocol, or after ``@``. SETTING: alone, as the value of a key that asks for a host.
    OPTION: likewise in a command, where a key may mean something else.
    WAITED: a program is told to reach it. PORT: before a port, which is to be one of the host's. LOOSE: before a space
    and a number, which has to be one of its ports.
    """

    ADDRESS = "address"
    SETTING = "setting"
    OPTION = "option"
    WAITED = "waited"
    PORT = "port"
    LOOSE = "loose"


@dataclass(frozen=True, slots=True)
class Mention:
    """A host that a text names; ``port`` is 0 where it stands without one."""

    host: str
    port: int
    place: Place


_HOST = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_AUTHORITY = re.compile(r"://(?=([^\s/?#\"'`<>\\|;]*))")  # another one may begin where a list of URLs goes on
_BARE_AUTHORITY = re.compile(rf"(?:^|(?<=[\s=\"'@]))//({_HOST}(?::\d+)?)(?=/|$|[\"'])")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*$")
_SCHEME_LENGTH_MAX = 80
_IN_URL = re.compile(r"[?&][\w.-]*=$|(?<=[\w.])/$")  # a URL as a part of another one is that one's to ask
_ONE = re.compile(rf"({_HOST})\.?(?::(\d+))?[)\]}}.,]*$")
_AT = re.compile(rf"(?<=[\w%)}}.!*$-])@(?:[a-z0-9]*\()?({_HOST})(?::(\d+))?(?=[)/\s\"',;?]|$)")
_BEFORE_PORT = re.compile(rf"(?<![\w./:@$-])({_HOST}):(\d{{2,5}})(?![\w:-]|\.\w)")
_DEVICE = re.compile(rf"/dev/tcp/({_HOST})/(\d+)")
_KEYED = re.compile(
    r"(?<![\w.-])([A-Za-z][\w.-]{0,60})[\"']?[ \t]*(?:=>|:=|[:=])[ \t]*[\"'\[]{0,2}"
    rf"({_HOST})(?::(\d+))?(?=[\"'\s,;)\]}}]|$)"
)
_ELEMENT = re.compile(rf"<([A-Za-z][\w.-]{{0,60}})>\s*({_HOST})(?::(\d+))?\s*</")
_DIRECTIVE = re.compile(
    rf"^[ \t]*(?:server|[a-z]{{1,20}}_pass|replicaof|slaveof)[ \t]+({_HOST})(?=;|[ \t]|$)", re.MULTILINE
)
_UPSTREAM = re.compile(r"^[ \t]*upstream[ \t]+([\w.-]+)", re.MULTILINE)
_SHORT_OPTION = re.compile(rf"(?<!\S)-[hH][ =]?[\"']?({_HOST})(?::(\d+))?(?=[\"'\s,;)]|$)")
_OPTION = re.compile(rf"(?<!\S)(--?[A-Za-z][\w.-]{{1,60}})[ =][\"']?({_HOST})(?::(\d+))?(?=[\"'\s,;)]|$)")
_PROGRAM = re.compile(
    r"(?<![\w./-])(?:nc|ncat|netcat|nslookup|ping|telnet|dig|host|getent a?hosts|curl|wget|pg_isready|"
    r"(?:\S{0,40}/)?wait-for(?:-it)?(?:\.sh)?)"
    rf"(?:[ \t]+-[\w-]+(?:[ \t=]+[\d/]\S{{0,60}})?){{0,8}}[ \t]+[\"']?({_HOST})(?::(\d+))?(?=[/\"'\s;)&|]|$)"
)
_PAIR = re.compile(rf"(?<![\w./:@$-])({_HOST})[ \t]+(\d{{2,5}})(?![\w.:-])")
_TUPLE = re.compile(rf"[\"']({_HOST})[\"'][ \t]*,[ \t]*(\d{{2,5}})\b")
_LIST = re.compile(r"[\s,;]+")
_COMMENT = re.compile(r"^[ \t]*(?:#|//|;|--[ \t]).*$|[ \t]#.*$", re.MULTILINE)
_BLOCK_BEGIN = re.compile(r"^[ \t]*(?:/\*|<!--)", re.MULTILINE)
_BLOCK_END = re.compile(r"\*/|-->")
# Schemes of names that are not asked by DNS.
_NO_HOSTS = frozenset(
    {"file", "unix", "s3", "gs", "arn", "docker", "sqlite", "classpath", "oci", "jar", "data", "env", "vault"}
)
_PROSE = (".md", ".rst", ".html", ".htm", ".css", ".svg", ".sql", ".crt", ".pem", ".key", ".csv")


def hosts_in_value(key: str, text: str) -> Iterator[Mention]:
    """Yield the hosts that the value of an environment variable, or of another key, names."""
    if is_own_address(key):
        return
    if "\n" in text.strip():
        yield from hosts_in_file(key, text)
        return
    asked = is_host_key(key)
    if asked and (alone := list(_alone(key, text))):
        yield from alone
        return
    yield from _addresses(text)
    yield from _keyed(text)


def hosts_in_command(text: str) -> Iterator[Mention]:
    """Yield the hosts that a command and its arguments name, word by word or in a script."""
    text = _COMMENT.sub("", text) if "\n" in text else text
    yield from _addresses(text)
    yield from (replace(one, place=Place.OPTION) for one in _keyed(text))
    for option, host, port in _OPTION.findall(text):
        if is_host_key(option) and not is_own_address(option):
            yield Mention(host, int(port or 0), Place.SETTING if _is_certain(option) else Place.OPTION)
    for found in (_SHORT_OPTION, _PROGRAM):
        yield from (Mention(host, int(port or 0), Place.WAITED) for host, port in found.findall(text))
    for found in (_PAIR, _TUPLE):
        yield from (Mention(host, int(port), Place.LOOSE) for host, port in found.findall(text))


def _is_certain(option: str) -> bool:
    """Return whether an option asks for the host of another part: one called just so may mean the pod's own."""
    return is_certain_host_key(option) and "-" in option.lstrip("-")


def hosts_in_file(name: str, text: str) -> Iterator[Mention]:
    """Yield the hosts that a file of settings names, its comments aside; ``name`` tells what kind of file it is."""
    if name.lower().endswith(_PROSE):
        return
    text = _COMMENT.sub("", "".join(_without_blocks(text)))
    # nginx gives groups of servers names of its own, which stand where hosts do.
    groups = set(_UPSTREAM.findall(text))
    for one in (*_addresses(text), *_keyed(text), *_directives(text)):
        if one.host not in groups:
            yield one


def _without_blocks(text: str) -> Iterator[str]:
    """Yield what stands between comments that go over several lines."""
    done = 0
    for begin in _BLOCK_BEGIN.finditer(text):
        if begin.start() < done:
            continue
        yield text[done : begin.start()]
        end = _BLOCK_END.search(text, begin.end())
        done = end.end() if end else len(text)
    yield text[done:]


def _addresses(text: str) -> Iterator[Mention]:
    for found in _AUTHORITY.finditer(text):
        before = text[max(0, found.start() - _SCHEME_LENGTH_MAX) : found.start()]
        scheme = _SCHEME.search(before)
        if scheme and scheme[0].lower() not in _NO_HOSTS and not _IN_URL.search(before[: scheme.start()]):
            yield from _in_authority(found[1])
    for host in _BARE_AUTHORITY.findall(text):
        yield from _in_authority(host)
    yield from (Mention(host, int(port or 0), Place.ADDRESS) for host, port in _AT.findall(text))
    yield from (Mention(host, int(port), Place.PORT) for host, port in _BEFORE_PORT.findall(text))
    yield from (Mention(host, int(port), Place.WAITED) for host, port in _DEVICE.findall(text))


def _in_authority(text: str) -> Iterator[Mention]:
    """Yield the hosts of a URL's authority, which may be a list; a user and a password before them are none."""
    for one in text.rpartition("@")[2].split(","):
        if found := _ONE.match(one):
            yield Mention(found[1], int(found[2] or 0), Place.ADDRESS)


def _keyed(text: str) -> Iterator[Mention]:
    for key, host, port in (*_KEYED.findall(text), *_ELEMENT.findall(text)):
        if is_host_key(key) and not is_own_address(key) and not may_be_kind_of_program(key, host):
            yield Mention(host, int(port or 0), Place.SETTING)


def _directives(text: str) -> Iterator[Mention]:
    yield from (Mention(host, 0, Place.SETTING) for host in _DIRECTIVE.findall(text))


def _alone(key: str, text: str) -> Iterator[Mention]:
    """Yield the hosts of a value that is nothing but a host or a list of them; nothing where it is something else."""
    found = [_ONE.match(one.strip("\"'")) for one in _LIST.split(text.strip(" \t[]()\"'")) if one]
    for one in found if all(found) else ():
        if one and not may_be_kind_of_program(key, one[1]):
            yield Mention(one[1], int(one[2] or 0), Place.SETTING)
