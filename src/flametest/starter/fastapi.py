"""What FastAPI applications answer, read from their source, which is parsed and never run. Pure.

https://fastapi.tiangolo.com/tutorial/: a decorator such as ``@app.post("/orders", status_code=201)`` names method, path
and status; parameters of the function are those of the path, headers (``Header``), the query, or the body, which is a
class of pydantic; what the function returns is annotated, or a dictionary whose keys stand there.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from flametest.starter.openapi import Operation, Schema
from flametest.starter.system import SourceFile

__all__ = ["operations_in_source"]

_METHODS = ("get", "post")
_FRAMEWORK = ("fastapi", "APIRouter")
_PLAIN: Mapping[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "UUID": {"type": "string", "format": "uuid"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
}
_PASSED_IN = ("Request", "Response", "BackgroundTasks", "HTTPConnection")
_DEPTH_MAX = 4

Function = ast.FunctionDef | ast.AsyncFunctionDef


def operations_in_source(sources: Iterable[SourceFile]) -> tuple[Operation, ...]:
    """Return the GET and POST operations of the FastAPI application that some files are the source of."""
    trees = {one.name: tree for one in sources if one.name.endswith(".py") and (tree := _parsed(one.text)) is not None}
    classes = {node.name: node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    found: list[Operation] = []
    for name, tree in trees.items():
        if any(word in ast.dump(node) for node in _imports(tree) for word in _FRAMEWORK):
            found += _operations(name, tree, _Types(classes))
    return tuple(found)


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _imports(tree: ast.Module) -> Iterator[ast.stmt]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))


def _operations(name: str, tree: ast.Module, types: "_Types") -> Iterator[Operation]:
    prefixes = _prefixes(tree)
    for function in ast.walk(tree):
        for decorator in function.decorator_list if isinstance(function, Function) else ():
            if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)):
                continue
            path, method = _first_text(decorator), decorator.func.attr
            if method in _METHODS and path.startswith("/"):
                prefix = prefixes.get(ast.unparse(decorator.func.value), "")
                assert isinstance(function, Function)
                head = Operation(method.upper(), f"{prefix}{path}", f"{name}:{function.lineno}")
                yield _filled(head, function, decorator, types)


def _prefixes(tree: ast.Module) -> dict[str, str]:
    """Return the prefix of each router that a file makes, by its name."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            prefix = _named(node.value, "prefix")
            if isinstance(prefix, ast.Constant) and isinstance(prefix.value, str):
                found |= {ast.unparse(target): prefix.value for target in node.targets}
    return found


def _filled(head: Operation, function: Function, decorator: ast.Call, types: "_Types") -> Operation:
    """Return an operation, of which method, path and place are known, with all that its function tells."""
    given = _Given(head.path, function, types)
    status, model = _named(decorator, "status_code"), _named(decorator, "response_model")
    return replace(
        head,
        status=status.value if isinstance(status, ast.Constant) and isinstance(status.value, int) else 200,
        answer=types.schema(model) if model is not None else _answer(function, types),
        body=given.body,
        parameters=given.parameters,
        headers=given.headers,
        queries=tuple(given.queries),
        is_plain=given.is_plain,
    )


class _Given:
    """What the parameters of a function are."""

    def __init__(self, path: str, function: Function, types: "_Types") -> None:
        self.parameters: dict[str, Schema] = {}
        self.headers: dict[str, Schema] = {}
        self.queries: list[str] = []
        self.body: Schema | None = None
        self.is_plain = True
        positional = [*function.args.posonlyargs, *function.args.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(function.args.defaults))
        defaults += function.args.defaults
        keywords = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        for argument, default in (*zip(positional, defaults, strict=True), *keywords):
            self._take(path, argument, default, types)

    def _take(self, path: str, argument: ast.arg, default: ast.expr | None, types: "_Types") -> None:
        annotation, marks = _unwrapped(argument.annotation, default)
        schema, name = types.schema(annotation), argument.arg
        marked = {_called(one): one for one in marks}
        if f"{{{name}}}" in path:
            self.parameters[name] = schema
        elif "Header" in marked:
            alias = _text(_named(marked["Header"], "alias"))
            self.headers[alias or name.replace("_", "-")] = schema
        elif schema.get("type") == "object" or "Body" in marked:
            self.body = schema
        elif "Depends" in marked or "Security" in marked or "Cookie" in marked:
            self.is_plain = False  # it demands what is described elsewhere
        elif annotation is not None and ast.unparse(annotation).rpartition(".")[2] in _PASSED_IN:
            # The body may be read from the request, as nothing describes it.
            self.is_plain = self.is_plain and not ast.unparse(annotation).endswith("Request")
        elif annotation is not None:
            self.queries.append(name)
            self.is_plain = self.is_plain and default is not None


def _unwrapped(annotation: ast.expr | None, default: ast.expr | None) -> tuple[ast.expr | None, list[ast.Call]]:
    """Return a type without ``Annotated``, and the calls such as ``Header()`` by which it, or a default, is marked."""
    marks = [default] if isinstance(default, ast.Call) else []
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).endswith("Annotated"):
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        marks += [one for one in parts[1:] if isinstance(one, ast.Call)]
        annotation = parts[0]
    return annotation, marks


def _answer(function: Function, types: "_Types") -> Schema:
    """Return what a function answers: the dictionary that it returns, as far as its keys stand there, else its type."""
    annotated = types.schema(function.returns)
    if annotated.get("properties") or annotated.get("type") == "array":
        return annotated
    values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    for value in values:
        if isinstance(value, ast.Dict) and value.keys:
            names = [key.value for key in value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
            return {"type": "object", "properties": {name: {} for name in names}}
    return annotated


class _Types:
    """Schemas of annotations; those of classes are made of their fields, with pydantic's defaults."""

    def __init__(self, classes: Mapping[str, ast.ClassDef]) -> None:
        self._classes = classes

    def schema(self, annotation: ast.expr | None, depth: int = 0) -> Schema:
        """Return the schema of a type; an empty one for any that is not understood."""
        if annotation is None or depth > _DEPTH_MAX:
            return {}
        annotation, _ = _unwrapped(annotation, None)
        if isinstance(annotation, ast.BinOp):  # str | None
            found = [self.schema(one, depth + 1) for one in (annotation.left, annotation.right)]
            return next((one for one in found if one), {})
        if isinstance(annotation, ast.Subscript):
            return self._generic(annotation, depth + 1)
        name = ast.unparse(annotation).rpartition(".")[2] if annotation is not None else ""
        if name in self._classes:
            return self._object(self._classes[name], depth + 1)
        return {"type": "object"} if name == "dict" else _PLAIN.get(name, {})

    def _generic(self, annotation: ast.Subscript, depth: int) -> Schema:
        kind, inner = ast.unparse(annotation.value).rpartition(".")[2], annotation.slice
        if kind in ("list", "List", "Sequence", "tuple", "set"):
            return {"type": "array", "items": self.schema(inner, depth)}
        if kind == "Optional":
            return self.schema(inner, depth)
        if kind == "Literal":
            values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return {"enum": [one.value for one in values if isinstance(one, ast.Constant)]}
        return {"type": "object"} if kind in ("dict", "Dict", "Mapping") else {}

    def _object(self, node: ast.ClassDef, depth: int) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for base in node.bases:
            inherited = self.schema(base, depth)
            properties |= inherited.get("properties", {})
            required += inherited.get("required", [])
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                properties[field.target.id] = {**self.schema(field.annotation, depth), **_bounds(field)}
                if not _has_default(field.value):
                    required.append(field.target.id)
        return {"type": "object", "properties": properties, "required": required}


def _bounds(field: ast.AnnAssign) -> dict[str, Any]:
    """Return what ``Field(...)`` says of a field's values."""
    names = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
    names |= {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
    _, marks = _unwrapped(field.annotation, field.value)
    return {
        names[keyword.arg]: keyword.value.value
        for mark in marks
        for keyword in mark.keywords
        if keyword.arg in names and isinstance(keyword.value, ast.Constant)
    }


def _has_default(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call) and _called(value) == "Field":
        first = value.args[0] if value.args else None
        is_named = any(one.arg in ("default", "default_factory") for one in value.keywords)
        return is_named or (first is not None and not (isinstance(first, ast.Constant) and first.value is Ellipsis))
    return value is not None


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _named(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)


def _first_text(call: ast.Call) -> str:
    return _text(call.args[0]) if call.args else _text(_named(call, "path"))


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
