"""Reading what a client sent, with a bound on its size."""

from urllib.parse import parse_qsl

from fastapi import Request
from starlette.exceptions import HTTPException

__all__ = ["read_body", "read_form"]

_BYTES_MAX = 4096
_FIELDS_MAX = 16


async def read_body(request: Request) -> bytes:
    """Return the whole body.

    Raises:
        HTTPException: 413, it has more than 4096 bytes.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BYTES_MAX:
            raise HTTPException(413, f"At most {_BYTES_MAX} bytes are read here.")
    return bytes(body)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form in ``application/x-www-form-urlencoded``; of a name sent twice, the last value.

    Raises:
        HTTPException: 400, it is not such a form; 413, it is too large.
    """
    body = await read_body(request)
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise HTTPException(400, "This form could not be read.") from error
    return dict(fields)
