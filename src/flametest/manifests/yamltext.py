"""One document of YAML as the JSON object that kubectl would make of it.

Scanning and parsing are libyaml's, of which go-yaml is a port; what scalars, keys, merges and repeated keys mean
follows go-yaml. libyaml leaves nodes with marks, so that the line of each object costs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from flametest.manifests.scalars import key_text, plain_key, plain_value, tagged_value

__all__ = ["Parsed", "YamlError", "parse_yaml"]

_PLAIN = "plain"
_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_TAB = ": a tab indents it, and YAML is indented by spaces"
_ALIASED_NODES_MAX = 400_000
"""More are a document that was written to exhaust memory; go-yaml refuses it likewise."""


class YamlError(ValueError):
    """A text that is no YAML to Kubernetes; ``line`` counts from 1, 0 when it is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's value, the line that it begins in, and those of the entries of its ``items`` if it has some.

    ``repeated`` names the keys that stand twice in one mapping, each with the line of the one that counts.
    """

    value: Any
    line: int
    item_lines: tuple[int, ...] = ()
    repeated: tuple[tuple[str, int], ...] = ()


class _Loader(yaml.CSafeLoader):
    """libyaml's parser, which leaves plain scalars to be told apart by Kubernetes' rules."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return _PLAIN if kind is ScalarNode and implicit[0] else _TEXT


def parse_yaml(text: str) -> Parsed | None:
    """Return the only document of ``text``; None when it holds nothing but comments.

    Raises:
        YamlError: it is no YAML, holds several documents, or what JSON cannot say.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        if node is None:
            return None
        converter = _Converter(text)
        value = converter.value(node)
        return Parsed(value, node.start_mark.line + 1, tuple(_item_lines(node)), tuple(converter.repeated))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        last_line = text.count("\n") + 1  # the mark of what is missing at the end lies behind it
        line = min(mark.line + 1, last_line) if mark else 0
        tab = _TAB if line and "\t" in _indentation(text.split("\n")[line - 1]) else ""
        raise YamlError((error.problem or str(error.context)) + tab, line) from error
    except yaml.YAMLError as error:
        raise YamlError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise YamlError("it is nested too deeply") from error


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _item_lines(node: Node) -> Iterator[int]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == "items" and isinstance(value, SequenceNode):
                yield from (one.start_mark.line + 1 for one in value.value)


class _Converter:
    """Makes values of nodes; an anchor's node is created again for each alias, as JSON has it."""

    def __init__(self, text: str) -> None:
        self.repeated: dict[tuple[str, int], None] = {}
        self._text = text
        self._open: set[int] = set()
        self._seen: set[int] = set()
        self._aliased = 0

    def value(self, node: Node) -> Any:
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        number = id(node)
        if number in self._open:
            raise YamlError("an anchor contains itself", node.start_mark.line + 1)
        if number in self._seen:
            self._count(node)
        self._seen.add(number)
        self._open.add(number)
        try:
            if isinstance(node, SequenceNode):
                return [self.value(one) for one in node.value]
            return self._mapping(node)
        finally:
            self._open.discard(number)

    def _count(self, node: Node) -> None:
        self._aliased += len(node.value)
        if self._aliased > _ALIASED_NODES_MAX:
            raise YamlError("it contains excessive aliasing", node.start_mark.line + 1)

    def _scalar(self, node: ScalarNode) -> Any:
        # libyaml does not tell of the tag "!", which makes a text of anything.
        if node.tag == _TEXT or (node.tag == _PLAIN and self._text.startswith("!", node.start_mark.index)):
            return node.value
        try:
            return plain_value(node.value) if node.tag == _PLAIN else tagged_value(node.value, node.tag)
        except ValueError as error:
            raise YamlError(str(error), node.start_mark.line + 1) from error

    def _mapping(self, node: Node) -> dict[str, Any]:
        made: dict[str, Any] = {}
        own: set[str] = set()  # and not merged, which a mapping may overrule
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == "<<" and key.tag in (_PLAIN, _MERGE):
                self._merge(value, made)
                continue
            try:
                name = plain_key(key.value) if key.tag == _PLAIN else key_text(self.value(key))
            except YamlError:
                raise
            except ValueError as error:
                raise YamlError(str(error), key.start_mark.line + 1) from error
            if name in own:
                self.repeated[name, key.start_mark.line + 1] = None
            own.add(name)
            made[name] = self.value(value)  # of a key that stands twice the last one counts
        return made

    def _merge(self, node: Node, made: dict[str, Any]) -> None:
        parts = list(reversed(node.value)) if isinstance(node, SequenceNode) else [node]
        for part in parts:
            if not isinstance(part, MappingNode):
                raise YamlError("map merge requires map or sequence of maps as the value", node.start_mark.line + 1)
            made.update(self.value(part))
