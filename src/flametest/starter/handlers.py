"""What the handler of an HTTP path asks before it answers, as far as its source shows. Pure.

Python is parsed; of other languages the lines behind the route are read. What counts is a call by the name of a client
of something else: ``redis.ping()``, ``db.execute(...)``, ``fetch(...)``. So it is a guess, with file and line.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from flametest.starter.system import SourceFile

__all__ = ["asking_call"]

_CLIENTS = (
    "redis cache memcache memcached db database pg postgres mysql mongo mongodb mongoose rabbit rabbitmq amqp "
    "kafka cursor engine pool conn connection sequelize prisma knex httpx requests aiohttp axios urlopen fetch"
)
_CLIENT_WORDS = frozenset(_CLIENTS.split())
_VERBS = frozenset(["ping", "execute", "fetchone", "fetchval"])
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ROUTE_NAMES = ("get", "route", "handle", "handlefunc", "getmapping", "requestmapping", "add_url_rule", "add_api_route")
_CALL = re.compile(r"\b([A-Za-z_][\w.]*)\s*\(")
_LINES_MAX = 25  # of a handler that is not parsed
_DEPTH_MAX = 3

Function = ast.FunctionDef | ast.AsyncFunctionDef


def asking_call(path: str, sources: Iterable[SourceFile]) -> str:
    """Return the first call by which the handler of a path asks something else, and where; empty where none is seen."""
    for source in sources:
        found = _python(path, source) if source.name.endswith(".py") else _other(path, source)
        if found:
            return f"{found[0]}() in {source.name}:{found[1]}"
    return ""


def _is_asking(call: str) -> bool:
    words = [word.lower() for name in call.split(".") for word in _WORD.findall(name)]
    return bool(words) and (not _CLIENT_WORDS.isdisjoint(words) or words[-1] in _VERBS)


def _python(path: str, source: SourceFile) -> tuple[str, int] | None:
    try:
        tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    functions = {one.name: one for one in ast.walk(tree) if isinstance(one, Function)}
    for function in functions.values():
        if any(_is_route(decorator, path) for decorator in function.decorator_list):
            return next(_asking(function, functions, _DEPTH_MAX), None)
    for call in ast.walk(tree):  # app.add_api_route("/readyz", ready), Route("/readyz", ready)
        if isinstance(call, ast.Call) and _is_route(call, path):
            for name in (one.id for one in call.args[1:] if isinstance(one, ast.Name)):
                if name in functions:
                    return next(_asking(functions[name], functions, _DEPTH_MAX), None)
    return None


def _is_route(node: ast.expr, path: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    texts = [
        one.value for one in (*node.args[:1], *(key.value for key in node.keywords)) if isinstance(one, ast.Constant)
    ]
    return path in texts or (path.lstrip("/") or path) in texts


def _asking(function: Function, functions: dict[str, Function], depth: int) -> Iterator[tuple[str, int]]:
    """Yield the calls by which a function, or one of its file that it calls, asks something else."""
    for node in ast.walk(ast.Module(body=function.body, type_ignores=[])):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            own = functions.get(called.removeprefix("self."))
            if own is not None and own is not function:
                yield from _asking(own, functions, depth - 1) if depth else ()
            elif _is_asking(re.sub(r"\([^()]*\)", "", called)):
                yield called, node.lineno


def _other(path: str, source: SourceFile) -> tuple[str, int] | None:
    lines = source.text.splitlines()
    for number, line in enumerate(lines):
        if any(f"{quote}{path}{quote}" in line for quote in "\"'`") and _names_route(line):
            return next(_asking_lines(lines, number, path), None)
    return None


def _names_route(line: str) -> bool:
    return any(name.rpartition(".")[2].lower() in _ROUTE_NAMES for name in _CALL.findall(line))


def _asking_lines(lines: Sequence[str], first: int, path: str) -> Iterator[tuple[str, int]]:
    """Yield the calls in a handler: in the lines behind its route, or in the function that the route names."""
    named = re.search(rf"{re.escape(path)}[\"'`]\s*,\s*([A-Za-z_]\w*)\s*\)", lines[first])
    if named:
        begin = re.compile(rf"\b(?:func|function|def|const|async function)\s+{named[1]}\b")
        first = next((number for number, line in enumerate(lines) if begin.search(line)), first)
    for number in range(first, min(first + _LINES_MAX, len(lines))):
        if number > first and _names_route(lines[number]) and re.search(r"[\"'`]/", lines[number]):
            return
        text = lines[number].partition("//")[0] if number > first else lines[number].partition(path)[2]
        yield from ((name, number + 1) for name in _CALL.findall(text) if _is_asking(name))
