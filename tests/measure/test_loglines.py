"""What a line of a log tells: of the loggers in use, whole and cut off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.loglines import Peers, read_line

PEERS = Peers(
    {"redis": "redis", "logic": "logic", "frontend": "frontend", "postgres": "postgres", "web": "frontend"},
    {"10.96.0.7": "frontend", "10.1.2.3": "logic"},
)


@pytest.mark.parametrize(
    ("line", "is_failure", "status"),
    [
        ('{"level":"info","message":"request","status":200,"duration_ms":3.1}', False, 200),
        ('{"level":"info","message":"request","status":503}', True, 503),
        ('{"status": 499, "request_time": 1.002}', True, 499),
        ('{"level":"warning","message":"dependency away: redis: refused"}', True, 0),
        ('{"severity":"ERROR","msg":"boom"}', True, 0),
        ('{"level":50,"msg":"of pino"}', True, 0),
        ('{"level":30,"msg":"of pino"}', False, 0),
        ('{"message":"failed","exception":"Traceback ..."}', True, 0),
        ('{"message":"fine","error":null}', False, 0),
        ('{"level":"info","status":409,"error":"sold_out"}', False, 409),
        ('time=x level=error msg="upstream request timeout" http.status_code=504', True, 504),
        ('10.0.0.1 - - [x] "GET /a HTTP/1.1" 502 157 "-" "curl"', True, 502),
        ('10.0.0.1 - - [x] "GET /errors HTTP/1.1" 200 157', False, 200),
        ("2026-11-29 10:00:00 ERROR [http-1] c.e.Shop - no answer", True, 0),
        ("E1129 10:00:00.123 1 server.go:12] no answer", True, 0),
        ("2026-11-29 10:00:00 INFO looked at errors of the day", False, 0),
        ('{"level":"info","message":"request","status":503,"exception":"cut of', True, 503),
        ("", False, 0),
    ],
)
def test_a_failure_is_told_by_level_status_or_exception(line: str, is_failure: bool, status: int) -> None:
    told = read_line(line)
    assert (told.is_failure, told.status) == (is_failure, status)


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ('{"duration_ms": 12.5}', 0.0125),
        ('{"duration_s":0.250,"upstream_duration_s":"0.1"}', 0.25),
        ("request_time=1.5", 1.5),
        ('level=info duration="1.2s"', 1.2),
        ("level=info took=350ms", 0.35),
        ("duration=12", None),
        ('{"message":"nothing"}', None),
    ],
)
def test_a_line_tells_how_long_it_took_where_it_names_the_unit(line: str, seconds: float | None) -> None:
    assert read_line(line).seconds == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("line", "blames"),
    [
        ('{"level":"warning","message":"dependency away: redis: Connection refused"}', ("redis",)),
        ('{"level":"warning","message":"logic away: Cannot connect to host logic.shop.svc:80"}', ("logic",)),
        ('{"status":502,"upstream":"10.96.0.7:80, 10.96.0.7:80","path":"/redis"}', ("frontend",)),
        ('{"status":503,"path":"/logic/events","served_by":"logic"}', ()),
        ("ERROR dial tcp 10.1.2.3:5432: connect: connection refused", ("logic",)),
        ("ERROR GET http://web:8080/redis/items failed", ("frontend",)),
        ('{"level":"error","exception":"File \\"/app/logic/app.py\\", line 7: no answer of postgres"}', ("postgres",)),
        ('{"level":"info","message":"asked redis"}', ()),
        ('{"level":"warning","message":"logic away: [Errno -3] Temporary failure in name resolution"}', ("logic",)),
        ('{"level":"warning","message":"logic away: Timeout while contacting DNS servers"}', ()),
    ],
)
def test_a_failure_blames_whom_it_names_and_a_path_names_nobody(line: str, blames: tuple[str, ...]) -> None:
    assert read_line(line, own=("api",), peers=PEERS).blames == blames


def test_nobody_blames_himself() -> None:
    assert read_line("ERROR redis: out of memory", own=("redis",), peers=PEERS).blames == ()


@given(st.text(max_size=300))
def test_whatever_a_line_holds_it_can_be_read(line: str) -> None:
    told = read_line(line, peers=PEERS)
    assert told.status == 0 or 100 <= told.status <= 999
    assert told.seconds is None or told.seconds >= 0
