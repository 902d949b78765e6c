"""The way of one request: a bar for each pod from when it began until its last line, on the request's own time."""

from collections.abc import Sequence

from flametest.model.paths import Hop, RequestPath
from flametest.report.format import exact, shortened
from flametest.report.svg.canvas import Element, add, number, picture, serialise
from flametest.report.svg.scales import Linear

__all__ = ["draw_hops"]

_WIDTH, _LEFT, _RIGHT = 960, 220, 940
_ROW, _AXIS = 22, 26
_NAME_CHARACTERS = 34
_TICKS = 4
_THIN = 2.0
_FINE_MS = 20.0


def draw_hops(path: RequestPath, key: str) -> str:
    """Return the drawing; ``key`` is unique on the page."""
    bottom = (len(path.hops) + 1) * _ROW
    end_ms = max(path.duration_ms, *(hop.end_ms for hop in path.hops), 0.1)
    start_ms = min(0.0, *(hop.start_ms for hop in path.hops))
    root = picture(key, _WIDTH, bottom + _AXIS, "Hops of the request", _described(path))
    x = Linear(start_ms, end_ms, _LEFT, _RIGHT)
    for span in path.faults:
        left, right = x(max(start_ms, span.start_ms)), x(min(end_ms, span.end_ms))
        add(root, "rect", x=left, y=0, width=max(_THIN, right - left), height=bottom, fill="band")
    _draw_axis(root, x, bottom)
    texts = add(root, "g", fill="ink", font_size=12)
    add(texts, "text", "sent and answered, or given up", x=4, y=15)
    _draw_bar(root, x, (0.0, path.duration_ms), 0, "offered")
    for row, hop in enumerate(path.hops, start=1):
        add(texts, "text", shortened(hop.pod, _NAME_CHARACTERS), x=4, y=row * _ROW + 15)
        has_failed = any(line.is_failure for line in hop.lines)
        _draw_bar(root, x, (hop.start_ms, hop.end_ms), row, "bad" if has_failed else "good")
    _draw_lines(root, path.hops, x)
    return serialise(root)


def _draw_bar(root: Element, x: Linear, span: tuple[float, float], row: int, fill: str) -> None:
    left, right = map(x, span)
    top, width = row * _ROW + 6, max(_THIN, right - left)
    add(root, "rect", x=left, y=top, width=width, height=10, fill=fill, fill_opacity="0.4")


def _draw_lines(root: Element, hops: Sequence[Hop], x: Linear) -> None:
    """Draw a stroke for each log line, and a cross for each that tells of a failure: not by its colour alone."""
    strokes, crosses = "", ""
    for row, hop in enumerate(hops, start=1):
        for line in hop.lines:
            at, top = number(x(line.milliseconds)), row * _ROW
            if line.is_failure:
                crosses += f"M{at} {top + 11}m-4-4l8 8m0-8l-8 8"
            else:
                strokes += f"M{at} {top + 4}v14"
    if strokes:
        add(root, "path", d=strokes, stroke="good", stroke_width=2)
    if crosses:
        add(root, "path", d=crosses, stroke="bad", stroke_width=2)


def _draw_axis(root: Element, x: Linear, bottom: float) -> None:
    values = [x.low + (x.high - x.low) * tick / _TICKS for tick in range(_TICKS + 1)]
    add(root, "path", d="".join(f"M{number(x(value))} 0v{number(bottom)}" for value in values), stroke="line")
    for value in values:
        anchor = "end" if value == values[-1] else "middle"
        text = exact(round(value, 1 if x.high < _FINE_MS else 0), "ms")
        add(root, "text", text, x=x(value), y=bottom + 16, text_anchor=anchor)


def _described(path: RequestPath) -> str:
    told = "; ".join(
        f"{hop.pod} from {exact(round(hop.start_ms, 1), 'ms')} to {exact(round(hop.end_ms, 1), 'ms')}"
        + (", with a failure" if any(line.is_failure for line in hop.lines) else "")
        for hop in path.hops
    )
    faults = "".join(f"; {span.name} lasted" for span in path.faults)
    return f"{told or 'no pod has a line'}{faults}."
