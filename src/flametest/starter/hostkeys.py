"""Which keys ask for a host: names of environment variables, of options, and of settings in files. Pure."""

import re
from functools import lru_cache

from flametest.starter.wellknown import purpose_of_name

__all__ = ["is_certain_host_key", "is_for_people", "is_host_key", "is_own_address", "may_be_kind_of_program"]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_CERTAIN = (
    "host hosts hostname hostnames hostaddr addr addrs address addresses server servers url urls uri uris "
    "endpoint endpoints broker brokers dsn"
)
_LIKELY = (
    "upstream upstreams backend backends node nodes seed seeds peer peers target targets service svc primary "
    "master leader bootstrap proxy gateway remote"
)
_ENDINGS = ("host", "hosts", "hostname", "server", "servers", "addr", "address", "endpoint", "brokers", "url", "uri")
# What a pod is called or may be called by, in the place of what it asks.
_OWN = (
    "cors origin origins allowed allow redirect callback referer trusted advertised advertise virtual vhost bind "
    "listen listener listeners whitelist"
)
_MAIL = ("mail", "email", "from", "sender", "recipient")
_CERTAIN_WORDS, _LIKELY_WORDS, _OWN_WORDS = (frozenset(words.split()) for words in (_CERTAIN, _LIKELY, _OWN))
_FOR_PEOPLE = (
    "doc",
    "docs",
    "link",
    "home",
    "homepage",
    "repository",
    "wiki",
    "runbook",
    "dashboard",
    "support",
    "help",
)
_KINDS = ("backend", "backends", "bootstrap", "node", "nodes", "proxy")


@lru_cache(maxsize=4096)
def _words(key: str) -> tuple[str, ...]:
    words = [word.lower() for word in _WORD.findall(key)]
    while words and words[-1].isdigit():
        words.pop()
    return tuple(words)


def is_host_key(key: str) -> bool:
    """Return whether the value of a key is a host, or holds some, such as that of ``REDIS_HOST`` or ``dbUrl``."""
    words = _words(key)
    return bool(words) and (words[-1] in _LIKELY_WORDS or is_certain_host_key(key))


def is_certain_host_key(key: str) -> bool:
    """Return whether the value of a key is a host and nothing else by its name."""
    words = _words(key)
    return bool(words) and (words[-1] in _CERTAIN_WORDS or words[-1].endswith(_ENDINGS))


def is_own_address(key: str) -> bool:
    """Return whether a key says how a pod itself is reached, or who may ask it, or whom it writes to by mail."""
    words = _words(key)
    return not _OWN_WORDS.isdisjoint(words) or words[-1:] in {(word,) for word in _MAIL}


def may_be_kind_of_program(key: str, value: str) -> bool:
    """Return whether a value may say which program is used rather than where it runs, as in ``CACHE_BACKEND=redis``."""
    return _words(key)[-1:] in {(word,) for word in _KINDS} and purpose_of_name(value) is not None and "." not in value


def is_for_people(key: str) -> bool:
    """Return whether the value of a key is a link for people to follow, such as that of ``runbook-url``."""
    return any(word in _FOR_PEOPLE for word in _words(key))
