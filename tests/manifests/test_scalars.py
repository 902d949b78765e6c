"""Scalars of YAML mean what they mean to kubectl; where there is one, it is asked."""

import json
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flametest.manifests import ManifestError, parse_manifests
from flametest.manifests.scalars import plain_value
from tests.patience import PATIENCE_SECONDS

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
KNOWN: list[tuple[str, Any]] = [
    ("2024-01-31", "2024-01-31"),
    ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
    ("12:30:45", "12:30:45"),
    ("=", "="),
    ("yes", True),
    ("y", True),
    ("N", False),
    ("on", True),
    ("oFF", "oFF"),
    ("~", None),
    ("Null", None),
    ("014", 12),
    ("0o14", 12),
    ("089", 89),
    ("0x1F", 31),
    ("-0b11", -3),
    ("0b2", "0b2"),
    ("1_000", 1000),
    ("+12", 12),
    ("1e3", 1000),
    ("1.0", 1),
    ("-0.0", 0),
    ("9007199254740993", 9007199254740993),
    ("9223372036854775807", 9223372036854775807),
    ("18446744073709551615", 1.8446744073709552e19),
    ("184467440737095516150", 1.844674407370955e20),
    ("123456789012345678.0", 123456789012345680),
    ("1.5e21", 1.5e21),
    ("1e400", "1e400"),
    (".5", 0.5),
    ("1.", 1),
    ("0xFFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFFF"),
    ("<<", "<<"),
]


@pytest.mark.parametrize(("text", "value"), KNOWN)
def test_a_plain_scalar_means_what_it_means_to_kubernetes(text: str, value: Any) -> None:
    found = plain_value(text)
    assert (found, type(found)) == (value, type(value))


def value_of(text: str) -> Any:
    return parse_manifests(HEAD + text, "a.yaml")[0].object["data"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('data: "2024"', "2024"),
        ("data: !!str 12", "12"),
        ('data: !!int "12"', 12),
        ("data: !!float 3", 3),
        ("data: !!binary aGVsbG8=", "hello"),
        ("data: !mine 12", "12"),
        ("data: {yes: a, 1: b, 1.5: c, 2024-01-01: d}", {"true": "a", "1": "b", "1.5": "c", "2024-01-01": "d"}),
        ("data: {a: 1, a: 2}", {"a": 2}),
        ("base: &b {a: 1, c: 3}\ndata: {<<: *b, a: 2}", {"a": 2, "c": 3}),
        ("base: &b {a: 1}\ndata: {'<<': *b}", {"<<": {"a": 1}}),
        ("data: {<<: [{a: 1}, {a: 2, b: 2}]}", {"a": 1, "b": 2}),
        ("data: {a: &x [1], b: *x}", {"a": [1], "b": [1]}),
    ],
)
def test_tags_keys_merges_and_aliases_are_those_of_kubernetes(text: str, value: Any) -> None:
    assert value_of(text) == value


# Characters of which numbers, words and dates are made, so that many of the texts are nearly one.
NUMBERS = st.text(alphabet="0123456789+-._eExXoObB:aAfF", min_size=1, max_size=12)
WORDS = st.sampled_from(["yes", "no", "on", "off", "y", "n", "true", "null", "~", ".inf", ".nan", "None", "="])
CASES = st.builds(lambda word, how: getattr(word, how)(), WORDS, st.sampled_from(["upper", "title", "lower"]))
NUMERALS = st.integers(-(2**66), 2**66).map(str) | st.floats().map(repr) | st.dates().map(str) | st.times().map(str)
ANY = st.text(max_size=8)


def is_plain(text: str) -> bool:
    """Return whether a text is a scalar without quotes when it stands as a value."""
    try:
        tokens = list(yaml.scan(f"a: {text}\n", Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        return False
    scalars = [one for one in tokens if isinstance(one, yaml.ScalarToken)]
    return len(scalars) == 2 and scalars[-1].plain and scalars[-1].value == text


def kubectl_says(manifest: str) -> Any:
    """Return the data of an object as kubectl reads it, or None where it refuses."""
    command = ["kubectl", "label", "--local", "--dry-run=client", "-o", "json", "-f", "-", "a=b"]
    done = subprocess.run(command, input=manifest.encode(), capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    return json.loads(done.stdout)["data"] if done.returncode == 0 else None


def with_large_numbers_as_floats(value: Any) -> Any:
    """Return JSON as a parser of 64 bits has it: kubectl writes large floats without exponent."""
    if isinstance(value, dict):
        return {key: with_large_numbers_as_floats(one) for key, one in value.items()}
    if isinstance(value, list):
        return [with_large_numbers_as_floats(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def flametest_says(manifest: str) -> Any:
    try:
        return parse_manifests(manifest, "a.yaml")[0].object["data"]
    except ManifestError:
        return None


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists((NUMBERS | CASES | NUMERALS | ANY).filter(is_plain), min_size=1, max_size=60))
@example([text for text, _ in KNOWN])
def test_plain_scalars_mean_what_kubectl_takes_them_for(texts: list[str]) -> None:
    finite = [one for one in texts if flametest_says(f"{HEAD}data: {one}\n") is not None or one in ("~", "null")]
    manifest = HEAD + "data:\n" + "".join(f"- {one}\n" for one in finite)
    expected = kubectl_says(manifest)
    found = flametest_says(manifest)
    assert found == with_large_numbers_as_floats(expected)
    assert list(map(type, found or ())) == list(map(type, with_large_numbers_as_floats(expected) or ()))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given((NUMBERS | CASES | NUMERALS).filter(is_plain))
@example(".inf")
@example("1e6")
@example("16777217.0")
@example("1.1")
@example("18446744073709551615")
@example("3.4025000633641588e+38")
@example("-3.4028235e+38")
def test_keys_mean_what_kubectl_takes_them_for(text: str) -> None:
    manifest = f"{HEAD}data:\n  ? {text}\n  : 1\n"
    assert flametest_says(manifest) == kubectl_says(manifest)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize(
    "data",
    [
        "{a: 1, <<: {a: 2}}",
        "{<<: [{a: 1}, {a: 2, b: 2}], b: 3}",
        "!!int 'x'",
        "!!binary '@'",
        "!!float 1e3",
        "!!null ''",
        "!!bool yes",
        "!!str",
        "! 12",
        "!!timestamp 2001-01-01",
        "!!set {a, b}",
        "'<<'",
        "|\n  a\n   b\n",
        ">-\n  a\n  b\n\n  c\n",
        '"a\\tb\\x41\\u00e9"',
        "[a, , b]",
        "{a: }",
        "&x a",
        "'it''s'",
        "a # comment",
        "a#b",
        "http://a:80/b",
        "{a: b:c}",
        "[1,2,]",
        "- 1",
    ],
)
def test_other_parts_of_yaml_mean_what_kubectl_takes_them_for(data: str) -> None:
    manifest = f"{HEAD}data: {data}\n"
    assert flametest_says(manifest) == kubectl_says(manifest)
