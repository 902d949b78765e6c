"""Rules for names, labels and ports, worded as Kubernetes words them.

Each rule returns the messages of what is broken, an empty list when all is well.
"""

import re
from typing import Any

from flametest.sandbox.apiserver.failures import Cause, bad_value, required, unsupported_value
from flametest.sandbox.objects import Object

__all__ = [
    "check_enum",
    "check_label_selector",
    "check_labels",
    "check_not_negative",
    "check_port",
    "config_key",
    "dns_1035_label",
    "dns_label",
    "dns_subdomain",
    "label_value",
    "qualified_name",
]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    f" an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    f" end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    f" and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_1035}')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    f" character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    f" '{_VALUE}')"
)
_CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or"
    f" 'key-name', regex used for validation is '{_CONFIG_KEY}')"
)
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def _matches(pattern: str, value: str, text: str, length_max: int) -> list[str]:
    messages = [] if len(value) <= length_max else [f"must be no more than {length_max} bytes"]
    if re.fullmatch(pattern, value) is None:
        messages.append(text)
    return messages


def dns_label(value: str) -> list[str]:
    """Check an RFC 1123 label, such as the name of a namespace or of a container."""
    return _matches(_LABEL, value, _LABEL_TEXT, 63)


def dns_subdomain(value: str) -> list[str]:
    """Check an RFC 1123 subdomain, as most names are."""
    return _matches(_SUBDOMAIN, value, _SUBDOMAIN_TEXT, 253)


def dns_1035_label(value: str) -> list[str]:
    """Check an RFC 1035 label, as the names of Services are."""
    return _matches(_1035, value, _1035_TEXT, 63)


def label_value(value: str) -> list[str]:
    """Check the value of a label."""
    return _matches(_VALUE, value, _VALUE_TEXT, 63)


def config_key(value: str) -> list[str]:
    """Check a key of a config map or secret."""
    if value in (".", "..") or value.startswith("../"):
        return [f"must not be {value!r}"]
    return _matches(_CONFIG_KEY, value, _CONFIG_KEY_TEXT, 253)


def qualified_name(value: str) -> list[str]:
    """Check the key of a label or annotation: a name with an optional prefix that is a subdomain."""
    prefix, slash, name = value.rpartition("/")
    messages = []
    if slash and not prefix:
        messages.append("prefix part must be non-empty")
    elif slash:
        messages += [f"prefix part {message}" for message in dns_subdomain(prefix)]
    if not name:
        return [*messages, "name part must be non-empty"]
    if len(name) > 63:
        messages.append("name part must be no more than 63 bytes")
    if re.fullmatch(_QUALIFIED, name) is None:
        messages.append(_QUALIFIED_TEXT)
    return messages


def check_labels(labels: dict[str, str], field: str) -> list[Cause]:
    """Return the faults of labels."""
    causes = []
    for key, value in labels.items():
        causes += [bad_value(field, key, message) for message in qualified_name(key)]
        causes += [bad_value(field, value, message) for message in label_value(value)]
    return causes


def check_label_selector(selector: Object, field: str) -> list[Cause]:
    """Return the faults of a label selector with matchLabels and matchExpressions."""
    causes = check_labels(selector.get("matchLabels", {}), f"{field}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions", ())):
        path = f"{field}.matchExpressions[{index}]"
        operator, values = expression.get("operator", ""), expression.get("values", [])
        if operator not in _OPERATORS:
            causes.append(bad_value(f"{path}.operator", operator, "not a valid selector operator"))
        elif operator in ("In", "NotIn") and not values:
            causes.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist") and values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            causes.append(Cause(f"{path}.values", "FieldValueForbidden", f"Forbidden: {text}"))
        causes += [
            bad_value(f"{path}.key", expression.get("key", ""), m) for m in qualified_name(expression.get("key", ""))
        ]
    return causes


def check_port(value: Any, field: str) -> list[Cause]:
    """Return the faults of a port: a number, or the name of a container's port."""
    if isinstance(value, str):
        if re.fullmatch("[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?", value) is None or not re.search("[a-z]", value):
            return [bad_value(field, value, "must be a lowercase name of at most 15 characters with a letter")]
        return []
    if not 1 <= value <= 65_535:
        return [bad_value(field, value, "must be between 1 and 65535, inclusive")]
    return []


def check_not_negative(obj: Object, name: str, field: str) -> list[Cause]:
    """Return the fault of a number that is below zero."""
    value = obj.get(name)
    if isinstance(value, int) and value < 0:
        return [bad_value(f"{field}.{name}", value, "must be greater than or equal to 0")]
    return []


def check_enum(value: Any, field: str, supported: tuple[str, ...]) -> list[Cause]:
    """Return the fault of a value outside its enumeration."""
    if value in supported:
        return []
    return [unsupported_value(field, value, supported)] if value else [required(field)]
