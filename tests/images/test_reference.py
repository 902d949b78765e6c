"""Names of images, as container runtimes read them."""

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.images.reference import InvalidReferenceError, parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("bitnami/redis", "docker.io/bitnami/redis:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("localhost/web:1", "localhost/web:1"),
        ("localhost:5000/web", "localhost:5000/web:latest"),
        ("127.0.0.1:5000/a/b/c:v1_2-3.4", "127.0.0.1:5000/a/b/c:v1_2-3.4"),
        ("[::1]:5000/web", "[::1]:5000/web:latest"),
        ("ghcr.io/owner/name__x/y---z", "ghcr.io/owner/name__x/y---z:latest"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1.27@{DIGEST}", f"docker.io/library/nginx:1.27@{DIGEST}"),
    ],
)
def test_a_name_is_completed_with_what_is_taken_for_granted(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


def test_the_digest_decides_what_a_registry_is_asked_for() -> None:
    assert parse_reference(f"nginx:1.27@{DIGEST}").fetched == f"docker.io/library/nginx@{DIGEST}"


@pytest.mark.parametrize(
    "text",
    ["", ":", "@", "a:", "a:b:c", "a b", "web/", "/web", "a//b", "Web", "a@sha256:12", "a@md5:1", "-a", "a:é", "a:-x"],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        parse_reference(text)


def test_a_name_in_capitals_says_what_is_wrong() -> None:
    with pytest.raises(InvalidReferenceError, match="lower case"):
        parse_reference("example.com/Web")


component = st.from_regex(r"[a-z0-9]{1,9}([._-][a-z0-9]{1,9}){0,2}", fullmatch=True)
registries = st.sampled_from(["docker.io", "example.com", "localhost", "10.0.0.1:5000"])


@given(registries, st.lists(component, min_size=1, max_size=4), st.text(string.ascii_letters, min_size=1, max_size=20))
def test_a_full_name_names_itself(registry: str, parts: list[str], tag: str) -> None:
    parsed = parse_reference(f"{registry}/{'/'.join(parts)}:{tag}")
    assert parse_reference(str(parsed)) == parsed
    assert parsed.tag == tag


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    with contextlib.suppress(InvalidReferenceError):
        found = parse_reference(text)
        assert parse_reference(str(found)) == found
