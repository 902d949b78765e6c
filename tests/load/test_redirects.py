"""An entry that redirects is refused with where it leads to; one that serves, fails or is silent is not."""

from typing import Any

import pytest

from flametest.load.errors import LoadError
from flametest.load.redirects import refuse_redirect


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("http://127.0.0.1:9/elsewhere", "a redirect to http://127.0.0.1:9/elsewhere, on another host or port"),
        ("https://shop.example", "a redirect to https://shop.example, on another host or port"),
        ("/login", "/login, on the same host"),
        ("//127.0.0.1:x/", "on another host or port"),
        ("", "does not say where to"),
    ],
)
def test_a_redirect_is_refused_and_says_where_to(target: Any, location: str, told: str) -> None:
    target.mode, target.location = "308", location
    with pytest.raises(LoadError, match="it answers with status 308") as raised:
        refuse_redirect(f"{target.url}/shop")
    assert f"{target.url}/shop" in raised.value.message
    assert told in raised.value.message
    assert "--url" in raised.value.remedy


@pytest.mark.parametrize("mode", ["ok", "503", "reset", "refused"])
def test_whatever_is_no_redirect_is_no_business_here(target: Any, mode: str) -> None:
    if mode == "refused":
        target.refuse()
    target.mode, target.location = mode, "http://127.0.0.1:9/"
    refuse_redirect(target.url)
