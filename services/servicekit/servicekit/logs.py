"""Logs as one JSON object a line on standard output, each with the ids of the request and of the trace it belongs to.

They travel in context variables, so that a line written deep inside a request carries them without being told.
"""

import contextvars
import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .tracing import trace

__all__ = ["JsonFormatter", "configure_logs", "log_fields", "request_id"]

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: time, level, logger, message, pod, both ids, and the fields of `log_fields`."""

    def __init__(self, pod_name: str) -> None:
        super().__init__()
        self._pod_name = pod_name

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as one line; an exception is a field of it, with its traceback."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pod": self._pod_name,
        }
        if identifier := request_id.get():
            line["request_id"] = identifier
        if (current := trace.get()) is not None:
            line["trace_id"] = current.trace_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_fields(**fields: object) -> Mapping[str, object]:
    """Return the ``extra`` argument of a logging call that puts ``fields`` beside the message."""
    return {"fields": fields}


def configure_logs(pod_name: str, level: str) -> None:
    """Send every logger of this process, Uvicorn's too, to standard output as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(pod_name))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
