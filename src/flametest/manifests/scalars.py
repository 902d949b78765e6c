"""What a plain scalar of YAML means to Kubernetes. Pure.

kubectl turns YAML into JSON by sigs.k8s.io/yaml, whose parser is go-yaml v2: YAML 1.1 in its booleans (``yes``, ``on``,
``y``), but with Go's own integers (``014``, ``0o14``, ``0x1F``, ``1_000``), no sexagesimal numbers, and dates left as
text. PyYAML's own rules differ in each of these.
Source of the rules: https://github.com/kubernetes-sigs/yaml/blob/v1.4.0/goyaml.v2/resolve.go
"""

import base64
import binascii
import math
import re
import struct
from decimal import Decimal

__all__ = ["Scalar", "key_text", "plain_key", "plain_value", "tagged_value"]

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_NUMERIC = frozenset("+-0123456789")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_POINT = re.compile(r"\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_BASES = (16, 2, 8, 10)
_INT_MIN, _INT_MAX, _UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
_FLOAT_KEY_EXPONENT_MIN, _FLOAT_KEY_EXPONENT_MAX = -4, 6  # where Go's %g changes to an exponent
_FLOAT32_DIGITS_MAX = 9
_TAG = "tag:yaml.org,2002:"
_KINDS: dict[str, type] = {"bool": bool, "int": int, "float": float, "null": type(None)}


def plain_value(text: str) -> Scalar:
    """Return what an unquoted scalar without a tag means.

    Raises:
        ValueError: it is an infinity or no number, which JSON cannot say.
    """
    return _in_json(_resolved(text))


def plain_key(text: str) -> str:
    """Return the name in JSON of an unquoted key without a tag.

    Raises:
        ValueError: it is null.
    """
    return key_text(_resolved(text))


def tagged_value(text: str, tag: str) -> Scalar:
    """Return what a scalar with an explicit tag means; of a tag that YAML does not define, its text.

    Raises:
        ValueError: the text is nothing of that tag.
    """
    name = tag.removeprefix(_TAG)
    if name == "binary":
        return _from_base64(text)
    if name not in _KINDS:
        return text
    found = _resolved(text)
    if name == "float" and type(found) is int:
        found = float(found)
    if type(found) is not _KINDS[name]:
        raise ValueError(f"cannot decode {text!r} as a !!{name}")
    return _in_json(found)


def key_text(key: object) -> str:
    """Return the name of a mapping's key in JSON, whose names are all text.

    Raises:
        ValueError: it is null, a number of more than 63 bits, or no scalar.
    """
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int) and key <= _INT_MAX:
        return str(key)
    if isinstance(key, float):
        return _shortest(key)
    raise ValueError(f"{'null' if key is None else 'what is no text'} cannot be a key")


def _resolved(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return _float(text) if _POINT.fullmatch(text) else text
    if first not in _NUMERIC:
        return text
    number = text.replace("_", "")
    if whole := _INTEGER.fullmatch(number):
        sign, *digits = whole.groups()
        base, found = next((base, one) for base, one in zip(_BASES, digits, strict=True) if one is not None)
        value = int(found, base) * (-1 if sign == "-" else 1)
        if _INT_MIN <= value <= (_INT_MAX if sign else _UINT_MAX):
            return value
    if _FLOAT.fullmatch(number):
        value_or_text = _float(number)
        return text if isinstance(value_or_text, str) else value_or_text
    return text


def _float(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _in_json(value: Scalar) -> Scalar:
    """Return a number as it is after a way through Go's JSON: integral ones as integers, while 64 bits hold them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, int):
        return value if value <= _INT_MAX else float(value)
    if not math.isfinite(value):
        raise ValueError(f"{value} is no value in JSON")
    if value.is_integer():
        whole = int(Decimal(repr(value)))  # the shortest digits that mean it, filled up by zeros
        if _INT_MIN <= whole <= _INT_MAX:
            return whole
    return value


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
    except binascii.Error as error:
        raise ValueError(f"!!binary value contains invalid base64 data: {error}") from error


def _packed(value: float) -> bytes | None:
    """Return a float in 32 bits; None for one that is too large, as the largest ones are once they are rounded up."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return None


def _shortest(value: float) -> str:
    """Return a float in the fewest digits that mean the same 32-bit float, as Go's ``FormatFloat(v, 'g', -1, 32)``."""
    wanted = _packed(value)
    if wanted is None:
        return ".inf" if value > 0 else "-.inf"
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{value:.0f}".replace("inf", ".inf")
    value, written = struct.unpack("<f", wanted)[0], ""
    for digits in range(_FLOAT32_DIGITS_MAX):
        written = f"{value:.{digits}e}"
        if _packed(float(written)) == wanted:
            break
    mantissa, exponent = written.split("e")
    if _FLOAT_KEY_EXPONENT_MIN <= int(exponent) < _FLOAT_KEY_EXPONENT_MAX:
        return format(Decimal(written), "f")
    return f"{mantissa}e{exponent}"
