"""The request cloud: every judged request counted over time and latency, small enough to be drawn and kept.

A percentile hides how many requests stood where; a picture of a hundred thousand points would be as large as the
samples. The counts lose neither a failure nor a slow request: each of them is in one cell.
"""

import numpy as np
from numpy.typing import NDArray

from flametest.measure.figures import Figures
from flametest.measure.series import bin_edges
from flametest.model.result import Density

__all__ = ["density"]

_ROWS = 48
_LATENCY_MIN_MS = 0.01  # below it a latency says more about the clock than about the system
_SPAN_MIN = 4.0  # highest over lowest: a cloud of equal latencies is not blown up to noise

Cells = tuple[tuple[int, int, int], ...]


def density(measured: Figures) -> Density | None:
    """Return the judged requests of one scenario, counted over their intended start and the logarithm of their latency.

    Columns are the bins of `flametest.measure.series.series`, so that the picture shares the charts' axis; rows are
    48 equal bins of log(latency) between the least and the greatest one. None without a request.
    """
    samples, axis = measured.demand.samples, measured.axis
    if not len(samples):
        return None
    edges, width = bin_edges(measured)
    wanted = (samples.intended_ns - axis.origin_ns) / 1e9
    latency = np.maximum(samples.latency_ms, _LATENCY_MIN_MS)
    low, high = _bounds(latency)
    heights = np.linspace(np.log(low), np.log(high), _ROWS + 1)
    columns = np.clip(np.searchsorted(edges, wanted, side="right") - 1, 0, len(edges) - 2)
    rows = np.clip(np.searchsorted(heights, np.log(latency), side="right") - 1, 0, _ROWS - 1)
    return Density(
        start_seconds=float(edges[0]),
        bin_seconds=width,
        columns=len(edges) - 1,
        latency_low_ms=low,
        latency_high_ms=high,
        rows=_ROWS,
        good=_cells(columns[samples.good], rows[samples.good]),
        bad=_cells(columns[samples.bad], rows[samples.bad]),
    )


def _bounds(latency: NDArray[np.float64]) -> tuple[float, float]:
    """Return the least and the greatest latency, drawn apart evenly when they are too close."""
    low, high = float(latency.min()), float(latency.max())
    if high / low >= _SPAN_MIN:
        return low, high
    stretch = float(np.sqrt(_SPAN_MIN * low / high))
    return low / stretch, high * stretch


def _cells(columns: NDArray[np.intp], rows: NDArray[np.intp]) -> Cells:
    """Return (column, row, requests) of each cell that holds one, by column and row."""
    found, counted = np.unique(columns * _ROWS + rows, return_counts=True)
    return tuple(
        (int(cell) // _ROWS, int(cell) % _ROWS, int(number)) for cell, number in zip(found, counted, strict=True)
    )
