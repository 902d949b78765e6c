"""A first ``ledger.toml``, guessed from what a service answers: a POST with a key, and how it may be read back. Pure.

A key is a header for it, such as Idempotency-Key, a field of the body that people use for it, or an id in the answer by
which a GET asks for one write. A guess says that it is one, and what a person has to check: whether a key keeps a write
from being stored twice, for instance, is in no description.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flametest.starter.examples import example_of
from flametest.starter.openapi import Operation, Schema

__all__ = ["LEDGER_FILE", "Guess", "guess_ledger"]

LEDGER_FILE = "ledger.toml"

_KEY_HEADER = re.compile(r"idempot", re.IGNORECASE)
_KEY_FIELDS = (
    *("idempotency_key", "idempotencykey", "client_reference", "clientreference", "reference", "external_id"),
    *("externalid", "request_id", "requestid", "client_id", "clientid", "key"),
)
_KEY_CHARACTERS = 32  # of a ledger's key, at most
_NOT_WRITES = frozenset(
    [
        "login",
        "logout",
        "auth",
        "authenticate",
        "token",
        "tokens",
        "session",
        "sessions",
        "signup",
        "register",
        "password",
        "search",
        "query",
        "webhook",
        "webhooks",
        "upload",
        "uploads",
        "admin",
        "debug",
        "health",
        "metrics",
        "graphql",
    ]
)
_PATH = re.compile(r"/[!-z|~]*", re.ASCII)  # printable, and without braces
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)  # RFC 9110, section 5.6.2
_PAGED = ("limit", "offset", "page", "per_page", "page_size", "size", "cursor", "after", "skip")
_ACCEPTED = 202  # RFC 9110: taken, and not yet done
_USUAL = (200, 201, 204)
_TOLD_MAX = 3


@dataclass(frozen=True, slots=True)
class Guess:
    """A ledger that was guessed, or why there is none.

    Attributes:
        text: of the file; empty where nothing was found.
        told: what it is, or why there is none, in a line.
    """

    text: str
    told: str


@dataclass(frozen=True, slots=True)
class _Write:
    """A POST, how it is keyed, and how it is read back; ``listed`` and ``found`` are the GETs for that.

    ``key`` is ``header``, ``field`` or empty; ``named`` the header or the field; ``id`` the field of the answer that
    has the id. Of what is listed, ``items`` is where it is as a JSON path; ``listed_key`` and ``listed_id`` are fields.
    """

    post: Operation
    key: str = ""
    named: str = ""
    id: str = ""
    listed: Operation | None = None
    items: str = ""
    listed_key: str = ""
    listed_id: str = ""
    found: Operation | None = None

    @property
    def rank(self) -> tuple[object, ...]:
        """Return what it is compared by; the least is the best."""
        is_keyed_list = self.listed is not None and bool(self.listed_key)
        return self.key != "header", self.key != "field", not is_keyed_list, self.listed is None, len(self.post.path)


def guess_ledger(operations: Sequence[Operation]) -> Guess:
    """Return the ledger that suits what a service answers best."""
    posts = [one for one in operations if one.method == "POST"]
    if not posts:
        return Guess(
            "", "no ledger.toml: no POST is described by the entry's OpenAPI, next to the manifests or in source"
        )
    reasons: dict[str, str] = {}
    candidates: list[_Write] = []
    for post in posts:
        reason = _unfit(post)
        candidate = None if reason else _write(post, operations)
        if candidate is not None:
            candidates.append(candidate)
        else:
            reasons[post.path] = reason or "no key or id by which a GET reads it back"
    if not candidates:
        shown = "; ".join(f"POST {path}: {why}" for path, why in list(reasons.items())[:_TOLD_MAX])
        more = f"; {len(reasons) - _TOLD_MAX} more" if len(reasons) > _TOLD_MAX else ""
        return Guess("", f"no ledger.toml: no POST has a key that can be read back ({shown}{more})")
    best = min(candidates, key=lambda one: one.rank)
    gets = [f"GET {one.path}" for one in (best.listed, best.found) if one is not None]
    told = f"guessed POST {best.post.path} ({best.post.place}), read back by {' and '.join(gets)}; nothing was sent"
    return Guess(_text(best, [one.post.path for one in candidates if one is not best]), told)


def _unfit(post: Operation) -> str:
    """Return why a POST cannot be guessed; empty when it can be."""
    if not _PATH.fullmatch(post.path):
        return "its path has parameters"
    if not _NOT_WRITES.isdisjoint(re.split(r"[^a-z0-9]+", post.path.lower())):
        return "it does not look like a write"
    if not post.is_plain:
        return "what it takes is not described"
    try:
        json.dumps(example_of(post.body or {}), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeError:
        return "its body has texts that are not Unicode"
    except ValueError as error:
        return str(error)
    return ""


def _write(post: Operation, operations: Iterable[Operation]) -> _Write | None:
    gets = [one for one in operations if one.method == "GET" and one.is_plain]
    key, named = _key(post)
    listed = next((one for one in gets if _same(one.path, post.path)), None)
    items, item = _items(listed) if listed is not None else ("", {})
    properties = _properties(item)
    listed_key = _listed_key(key, named, properties)
    found = next((one for one in gets if _single(one.path, post.path)), None)
    by_key = found is not None and key == "field" and _single(found.path, post.path) == named
    identity = _id(post, None if by_key else found, properties)
    listed_id = identity if identity in properties else ""
    if found is not None and not by_key and not identity:
        found = None
    if not items or not (listed_key or listed_id):
        listed, items, listed_key, listed_id = None, "", "", ""
    if listed is None and found is None:
        return None
    return _Write(post, key, named, identity, listed, items, listed_key, listed_id, found)


def _key(post: Operation) -> tuple[str, str]:
    """Return whether a header or a field of the body is a key, and which; two empty texts without one."""
    for name, schema in post.headers.items():
        if _KEY_HEADER.search(name) and _HEADER.fullmatch(name) and _takes_keys(schema):
            return "header", name
    fields = {name.lower(): name for name in _properties(post.body or {})}
    for wanted in _KEY_FIELDS:
        if wanted in fields and _takes_keys(_properties(post.body or {})[fields[wanted]]):
            return "field", fields[wanted]
    return "", ""


def _takes_keys(schema: Schema) -> bool:
    """Return whether a value may be one of a ledger's keys, which are texts such as ledger-0f3a...-17."""
    longest = schema.get("maxLength", _KEY_CHARACTERS)
    return (
        schema.get("type", "string") == "string"
        and not {"format", "pattern", "enum"} & set(schema)
        and isinstance(longest, int)
        and longest >= _KEY_CHARACTERS
    )


def _listed_key(key: str, named: str, properties: Mapping[str, Schema]) -> str:
    if key == "field":
        return named if named in properties else ""
    if key == "header":
        return next((name for name in properties if _KEY_HEADER.search(name)), "")
    return ""


def _same(path: str, other: str) -> bool:
    return path.rstrip("/") == other.rstrip("/") and "{" not in path


def _single(path: str, collection: str) -> str:
    """Return the parameter of a path for one of a collection; empty where it is no such path."""
    found = re.fullmatch(re.escape(collection.rstrip("/")) + r"/\{(\w+)\}/?", path)
    return found[1] if found and "{" not in collection else ""


def _items(listed: Operation) -> tuple[str, Schema]:
    """Return where the answer of a list has its items, as a JSON path, and their schema; two empty ones if unknown."""
    if listed.answer.get("type") == "array":
        return "$[*]", listed.answer.get("items", {})
    lists = [(name, one) for name, one in _properties(listed.answer).items() if one.get("type") == "array"]
    return (f"{_json_path(lists[0][0])}[*]", lists[0][1].get("items", {})) if len(lists) == 1 else ("", {})


def _id(post: Operation, found: Operation | None, listed: Mapping[str, Schema]) -> str:
    """Return the field of a POST's answer that has the id of what was written; empty where that cannot be guessed."""
    answered = _properties(post.answer)
    parameter = _single(found.path, post.path) if found is not None else ""
    noun = _noun(post.path)
    of_noun = (f"{noun}_id", f"{noun}Id")
    for name in (parameter, "id", *of_noun, "uuid"):
        if name and name in answered:
            return name
    if answered or (not parameter and "id" not in listed) or post.answer.get("type", "object") != "object":
        return ""
    # Nothing is known of the answer: a parameter of the noun's id stands for its id, another one for itself.
    return "id" if not parameter or parameter in of_noun else parameter


def _noun(path: str) -> str:
    words = [word for word in path.split("/") if word and "{" not in word]
    return re.sub(r"\W", "_", words[-1]).removesuffix("s") if words else "write"


def _properties(schema: Schema) -> Mapping[str, Schema]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _json_path(name: str) -> str:
    """Return the JSON path of a field: behind a dot, or quoted where it is no plain word (RFC 9535)."""
    return f"$.{name}" if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f"$[{json.dumps(name)}]"


def _text(write: _Write, others: Sequence[str]) -> str:
    post = write.post
    body = _body(write)
    lines = [
        f"# A GUESS of `flametest init`, from {' '.join(post.place.split())}. Nothing was sent.",
        "# `flametest run` will send it, ten times a second; --no-ledger leaves it out. Before the first run, check:",
        *(f"# - {one}" for one in _checks(write, body)),
        "# `flametest run --dry-run` reads back once, and writes nothing. docs/writes.md of Flametest has every entry.",
        *([f"# Other POSTs that may do: {', '.join(others[:_TOLD_MAX])}."] if others else []),
        f"name = {_toml(_name(post.path))}",
    ]
    if post.status == _ACCEPTED:
        lines += [
            "# It answers 202, so that the work is done later: two readings so far apart have to agree.",
            "quiet_seconds = 2",
        ]
    lines += ["", "[write]", f"request = {_toml(f'POST {post.path}')}"]
    if write.key == "header":
        lines.append(f'headers = {{ {_toml_key(write.named)} = "{{key}}" }}')
    if body is not None:
        lines.append(f"body = {_toml(body)}")
    if post.status not in _USUAL:
        lines.append(f"accepted = [{post.status}]")
    if write.id:
        lines.append(f"id = {_toml(_json_path(write.id))}")
    if write.key == "header":
        lines += ["# Only a write that is sent twice can be stored twice.", "repeat = 0.1"]
    return "\n".join([*lines, "", "[read]", *_reading(write)]) + "\n"


def _reading(write: _Write) -> Iterator[str]:
    if write.listed is not None:
        yield f"request = {_toml(f'GET {write.listed.path}')}"
        yield f"items = {_toml(write.items)}"
        if write.listed_key:
            yield f"key = {_toml(_json_path(write.listed_key))}"
        if write.listed_id:
            yield f"id = {_toml(_json_path(write.listed_id))}"
    if write.found is not None:
        parameter = _single(write.found.path, write.post.path)
        asked = "key" if write.key == "field" and parameter == write.named else "id"
        yield f"find = {_toml(f'GET {write.found.path}'.replace(f'{{{parameter}}}', f'{{{asked}}}'))}"
        if write.post.status == _ACCEPTED:
            yield "looks = 0"


def _checks(write: _Write, body: object) -> Iterator[str]:
    yield f"that POST {write.post.path} may be sent to this system" + ("" if body is None else ", with this body")
    if write.key == "header":
        yield f"that a request with the same {write.named} is stored once; else remove `repeat`"
    if write.key == "field":
        yield f"that each write may have a {write.named} of its own, and keeps it"
    if write.id:
        yield f"that the answer names what was written, at {_json_path(write.id)}"
    if write.listed is not None:
        paged = [name for name in write.listed.queries if name.lower() in _PAGED]
        yield f"that GET {write.listed.path} lists all of them" + (
            f": it takes {', '.join(paged)}, so it may need `first` and `next`" if paged else ""
        )


def _name(path: str) -> str:
    words = [word for word in path.split("/") if word and "{" not in word]
    return (words[-1] if words else "writes")[:40]


def _body(write: _Write) -> object:
    if write.post.body is None:
        return None
    made = example_of(write.post.body)
    return {**made, write.named: "{key}"} if write.key == "field" and isinstance(made, dict) else made


def _toml(value: Any) -> str:
    """Return a value as TOML writes it in one line: https://toml.io/en/v1.0.0."""
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_toml_key(name)} = {_toml(one)}" for name, one in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # A string of JSON is one of TOML, but for U+007F, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name, re.ASCII) else _toml(name)
