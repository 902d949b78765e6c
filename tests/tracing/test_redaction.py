"""What looks like a secret is taken out of a line before it is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.tracing.redaction import CHARACTERS_MAX, REMOVED, redacted

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ('{"password":"hunter22"}', "hunter22"),
        ('{"user_password": "hunter 22", "status": 500}', "hunter 22"),
        ('{"db":{"passwd":"hunter22"}}', "hunter22"),
        ('{"body":"{\\"secret\\":\\"hunter22\\"}"}', "hunter22"),
        ("level=error api_key=hunter22 msg=x", "hunter22"),
        ("apiKey: hunter22", "hunter22"),
        ("x-api-key: hunter22", "hunter22"),
        ("GET /login?token=hunter22&x=1", "hunter22"),
        ("Authorization: Bearer hunter22.abc", "hunter22"),
        ('{"authorization":"Basic aHVudGVyMjI="}', "aHVudGVyMjI"),
        ("Cookie: a=hunter22; b=hunter22", "hunter22"),
        ('{"set-cookie":"session=hunter22; Path=/"}', "hunter22"),
        ("connecting to postgres://app:hunter22@postgres:5432/app", "hunter22"),
        ("redis://:hunter22@redis:6379", "hunter22"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("mail to alice.b+c@example.org failed", "alice"),
        ("-----BEGIN RSA PRIVATE KEY-----\\nMIIEow", "MIIEow"),
        ("nonce aZ3kP9qLx7Rt2VbN8mWc4YdS6fGh1JkQ0zXe5TuK9", "aZ3kP9qLx7Rt2VbN8mWc4YdS6fGh1JkQ0zXe5TuK9"),
        ("PGPASSWORD=hunter22 psql", "hunter22"),
    ],
)
def test_secrets_are_taken_out(line: str, secret: str) -> None:
    assert secret not in redacted(line)
    assert REMOVED in redacted(line)


@pytest.mark.parametrize(
    "line",
    [
        f'{{"time":"2026-11-29T10:00:00.123+00:00","level":"info","request_id":"{TRACE_ID}","status":503}}',
        f"traceparent=00-{TRACE_ID}-b7ad6b7169203331-01",
        '{"message":"logic away: Cannot connect to host logic.flametest.svc.cluster.local:80","pod":"frontend-7d5"}',
        "GET /shop/api/orders?event=7 HTTP/1.1 200 after 12 ms",
        '{"idempotency_key":"ledger-1a2b3c4d5e6f-17","quantity":1}',
        "opinion: session has ended",
    ],
)
def test_what_tells_of_a_failure_stays(line: str) -> None:
    assert redacted(line) == line


def test_a_long_line_keeps_both_its_ends() -> None:
    found = redacted("begin " + "word " * 2000 + "end")
    assert len(found) <= CHARACTERS_MAX
    assert found.startswith("begin ")
    assert found.endswith(" end")


def test_control_characters_and_colours_are_taken_out() -> None:
    assert redacted("\x1b[31mERROR\x1b[0m a\x00b") == "ERROR ab"


@given(st.text(max_size=400), st.from_regex(r"[A-Za-z0-9]{6,20}", fullmatch=True))
def test_a_password_is_gone_whatever_stands_before_it(text: str, secret: str) -> None:
    before = text.replace(secret, "").replace("\\", "").replace('"', "")
    assert f'"{secret}"' not in redacted(f'{before} {{"password":"{secret}"}}')


@given(st.text(max_size=600))
def test_whatever_a_line_holds_it_stays_within_its_bound(text: str) -> None:
    assert len(redacted(text)) <= CHARACTERS_MAX
