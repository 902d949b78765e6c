"""A ledger by HTTP: each write on a connection of its own, as a user's is; lists read back page by page."""

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import jsonpath

from flametest.ledger.definition import Definition, Read
from flametest.ledger.outcomes import Written, answer_to_look, answer_to_write, at, text_of
from flametest.ledger.store import Looked, NotThereError, ReachedAtOnce
from flametest.ledger.template import fill, fill_path, placeholders
from flametest.load.errors import LoadError
from flametest.load.exchange import Entry
from flametest.load.lanes import Progress, ask, send_freshly
from flametest.model.requestids import RequestIds
from flametest.model.routes import Route
from flametest.model.writes import LookOutcome, StoredWrite

__all__ = ["HttpReader", "HttpWriter"]

_PAGES_MAX = 5000
_WRITES_MAX = 5_000_000
_REQUEST_SECONDS = 5.0
_OK = 200
_ILL = 500
_PASSING = (408, 429)  # a timeout, and too many requests
_JSON = "application/json"


class HttpWriter(ReachedAtOnce):
    """Writes to the entry of the system under test at ``url``."""

    def __init__(self, definition: Definition, url: str, route: Route, ids: RequestIds) -> None:
        self._write = definition.write
        self._ids = ids
        self._read = definition.read
        self._entry = Entry.from_url(url, route)

    def new_id(self) -> str:
        """Return the id that the next request is to carry; empty where requests carry none."""
        return self._ids.draw()

    async def write(self, values: Mapping[str, object], trace_id: str) -> Written:
        """Send one write with that id and return what became of it."""
        write = self._write
        assert write.request is not None
        method, _, path = write.request.partition(" ")
        body = fill(write.body, values)
        sent = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        headers = {name: str(fill(text, values)) for name, text in write.headers.items()}
        if sent and not isinstance(body, str):
            headers = {"Content-Type": _JSON} | headers
        headers = _added(self._ids.headers(trace_id), headers)
        entry, progress = replace(self._entry, target=fill_path(path, values)), Progress()
        request = entry.write(method, headers, sent)
        answer, error = await ask(send_freshly(entry, request, progress), write.timeout_seconds)
        return answer_to_write(write, answer, error, request_sent=progress.request_sent)

    async def look(self, values: Mapping[str, object], trace_id: str) -> Looked:
        """Look for one write with that id."""
        read = self._read
        assert read is not None
        assert read.find is not None
        entry = replace(self._entry, target=fill_path(read.find.removeprefix("GET "), values))
        request = entry.request("close", self._ids.headers(trace_id))
        answer, error = await ask(send_freshly(entry, request, Progress()), self._write.timeout_seconds)
        if answer is None:
            return Looked(LookOutcome.UNKNOWN, 0, error)
        outcome, error = answer_to_look(read, answer.status, answer.body)
        return Looked(outcome, answer.status, error)


class HttpReader(ReachedAtOnce):
    """Reads back from the entry of the system under test at ``url``."""

    def __init__(self, definition: Definition, url: str, route: Route) -> None:
        Entry.from_url(url, route)
        self._definition = definition
        self._url = url
        self._route = route

    def writes(self) -> Sequence[StoredWrite]:
        """Return every write of the list, page by page."""
        read = self._definition.read
        assert read is not None
        assert read.request is not None
        found: list[StoredWrite] = []
        for page in self._pages(read, read.request.removeprefix("GET ")):
            found += [_stored(item, read) for item in jsonpath.findall(read.items, page)]
            if len(found) > _WRITES_MAX:
                raise LoadError(f"the list has more than {_WRITES_MAX:,} writes", "begin with an empty database")
        return found

    def _pages(self, read: Read, path: str) -> Iterator[Any]:
        following: object = read.first
        for _ in range(_PAGES_MAX):
            page = self._get(fill_path(path, {"next": following}))
            yield page
            if read.next is None or (next_one := at(read.next, page)) in (None, "", False):
                return
            if next_one == following:
                raise LoadError(f"the page of {following!r} points to itself", "read.next names another entry")
            following = next_one
        raise LoadError(f"the list has more than {_PAGES_MAX} pages", "ask for larger pages, or begin with fewer rows")

    def counts(self, number: int) -> Sequence[Mapping[str, Any]]:
        """Return the items of a count; one that is asked for by a choice is asked for each of its values.

        Such an item is one of that value, whatever the application calls by the same name.
        """
        count = self._definition.count[number]
        assert count.request is not None
        path = count.request.removeprefix("GET ")
        found: list[Mapping[str, Any]] = []
        for values in _each(sorted(set(placeholders(path))), self._definition.write.choose):
            items = jsonpath.findall(count.items, self._get(fill_path(path, values)))
            fields = [item if isinstance(item, Mapping) else {"value": item} for item in items]
            if not fields:
                raise NotThereError(f"{count.request} has nothing at {count.items}", "correct items in ledger.toml")
            found += [{**one, **values} for one in fields]
        return found

    def look(self, values: Mapping[str, object]) -> LookOutcome:
        """Return whether the system keeps one write."""
        read = self._definition.read
        assert read is not None
        assert read.find is not None
        status, body = self._ask(fill_path(read.find.removeprefix("GET "), values))
        return answer_to_look(read, status, body)[0]

    def _get(self, path: str) -> Any:
        status, body = self._ask(path)
        if status != _OK:
            kind = LoadError if status in _PASSING or status >= _ILL else NotThereError
            raise kind(f"GET {path}: expected 200, found {status}", "check the pods that answer")
        try:
            return json.loads(body)
        except ValueError as error:
            raise NotThereError(f"GET {path}: expected JSON, found {body[:60]!r}") from error

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection, target = self._route.connection(urljoin(self._url, path), _REQUEST_SECONDS)
        try:
            connection.request("GET", target, headers={"Connection": "close", "Accept": _JSON})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise LoadError(f"GET {path}: {error or type(error).__name__}", "check the pods that answer") from error
        finally:
            connection.close()


def _added(headers: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return headers without those that the ledger has of its own, and its own."""
    named = {name.lower() for name in own}
    return {name: value for name, value in headers.items() if name.lower() not in named} | dict(own)


def _stored(item: object, read: Read) -> StoredWrite:
    """Return a write as the list has it.

    Raises:
        NotThereError: it has no key or no field that the ledger names.
    """
    key = text_of(at(read.key, item)) if read.key is not None else ""
    named = text_of(at(read.id, item)) if read.id is not None else ""
    missing = [name for name in read.fields if not (isinstance(item, Mapping) and name in item)]
    if missing or not isinstance(item, Mapping | str | int):
        lacks = missing[0] if missing else "every field"
        raise NotThereError(f"the list of writes lacks {lacks!r} in {str(item)[:60]}", "correct [read] in ledger.toml")
    return StoredWrite(named, key, {name: item[name] for name in read.fields} if isinstance(item, Mapping) else {})


def _each(names: Sequence[str], choices: Mapping[str, Sequence[object]]) -> Iterator[dict[str, object]]:
    """Yield every combination of the choices of these names, each value once."""
    if not names:
        yield {}
        return
    first, *rest = names
    for value in dict.fromkeys(choices[first]):
        for others in _each(rest, choices):
            yield {first: value, **others}
