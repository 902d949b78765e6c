"""A file's bytes as the documents in it, each with its place: what kubectl does before it looks at an object. Pure.

A file is text in UTF-8, or in UTF-16 with a byte order mark. One that begins with a brace is JSON, of one or several
values; any other is YAML, which kubectl cuts at lines of ``---`` before it parses the parts one by one.
Source: https://github.com/kubernetes/apimachinery/blob/v0.34.0/pkg/util/yaml/decoder.go
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from flametest.manifests.errors import ManifestError
from flametest.manifests.scalars import plain_value

__all__ = ["Document", "decoded", "documents"]

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SEPARATOR = re.compile(r"^---(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Attributes:
        value: what JSON would hold; None for an empty document.
        source: such as ``20-api.yaml, document 2``.
        line: in which line of the file it begins, from 1.
        item_lines: those in which the entries of its ``items`` begin, as far as they are known.
        repeated: keys that stand twice in one mapping, each with the line of the one that counts.
    """

    value: Any
    source: str
    line: int
    item_lines: tuple[int, ...] = ()
    repeated: tuple[tuple[str, int], ...] = ()


def decoded(content: bytes, name: str) -> str:
    """Return a file's text, without a byte order mark; what is no UTF-8 becomes U+FFFD, as it does for kubectl.

    Raises:
        ManifestError: it is broken UTF-16.
    """
    mark, encoding = next(((mark, one) for mark, one in _MARKS if content.startswith(mark)), (b"", "utf-8"))
    try:
        return content[len(mark) :].decode(encoding, "replace" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{name} cannot be read: it is no text in {encoding.upper()} ({error.reason} at byte {error.start})",
            "save it as UTF-8",
        ) from error


def documents(text: str, name: str) -> list[Document]:
    """Return the documents of a file's text, empty ones among them.

    Raises:
        ManifestError: a document cannot be read; the message names file, document and line.
    """
    if text.lstrip().startswith("{"):
        try:
            return list(_json_documents(text, name))
        except ManifestError:
            if not _is_flow_yaml(text):
                raise
    return list(_yaml_documents(text, name))


def _yaml_documents(text: str, name: str) -> Iterator[Document]:
    # Here, since every experiment imports this room, and few of them read manifests.
    from flametest.manifests.yamltext import Parsed, YamlError, parse_yaml  # noqa: PLC0415

    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for number, (part, first_line) in enumerate(_parts(text, name), 1):
        source = f"{name}, document {number}"
        try:
            parsed = parse_yaml(part) or Parsed(None, 1)
        except YamlError as error:
            _refuse(source, str(error), first_line + error.line - 1 if error.line else 0)
        skipped = first_line - 1
        item_lines = tuple(one + skipped for one in parsed.item_lines)
        repeated = tuple((key, line + skipped) for key, line in parsed.repeated)
        yield Document(parsed.value, source, parsed.line + skipped, item_lines, repeated)


def _parts(text: str, name: str) -> Iterator[tuple[str, int]]:
    """Yield what stands between the separators, each with the number of its first line."""
    start, line = 0, 1
    # The separator that a file begins with opens its first document.
    for number, found in enumerate(_SEPARATOR.finditer(text)):
        rest = found[1].strip()
        at = text.count("\n", 0, found.start()) + 1
        if rest and not rest.startswith("#"):
            _refuse(name, f"nothing may follow the separator --- in its line, but there is {rest[:40]!r}", at)
        if number or text[: found.start()].strip():
            yield text[start : found.start()], line
        start, line = found.end(), at
    yield text[start:], line


def _json_documents(text: str, name: str) -> Iterator[Document]:
    decoder = json.JSONDecoder(parse_float=plain_value, parse_int=plain_value, parse_constant=_no_constant)
    position, number = 0, 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        number += 1
        source = f"{name}, document {number}"
        line = text.count("\n", 0, position) + 1
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            _refuse(source, error.msg, error.lineno, form="JSON")
        except (ValueError, RecursionError) as error:
            _refuse(source, str(error), line, form="JSON")
        yield Document(value, source, line)


def _is_flow_yaml(text: str) -> bool:
    """Return whether a text that is no JSON, though it begins with a brace, is YAML."""
    from flametest.manifests.yamltext import YamlError, parse_yaml  # noqa: PLC0415 (see above)

    try:
        parse_yaml(text)
    except YamlError:
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value in JSON")


def _refuse(source: str, problem: str, line: int, form: str = "YAML") -> NoReturn:
    place = f" in line {line}" if line else ""
    raise ManifestError(f"{source}: no valid {form}{place}: {problem}", "fix the file at that place")
