"""Addresses of pods: inside the range, never twice at a time, never again soon."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.errors import SandboxError
from flametest.sandbox.network.addresses import AddressPool


@given(st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=60))
def test_an_address_is_in_the_range_and_belongs_to_one_pod(steps: list[int | None]) -> None:
    pool, held = AddressPool("10.244.1.0/27"), list[str]()
    for step in steps:
        if step is None and len(held) < 29:
            address = pool.take()
            assert address not in held
            assert ipaddress.ip_address(address) in list(ipaddress.ip_network("10.244.1.0/27").hosts())[1:]
            held.append(address)
        elif step is not None and held:
            pool.give_back(held.pop(step % len(held)))


def test_an_address_comes_again_only_after_all_others() -> None:
    pool, seen = AddressPool("10.244.1.0/28"), []
    for _ in range(13):
        seen.append(pool.take())
        pool.give_back(seen[-1])
    assert len(set(seen)) == 13
    assert pool.take() == seen[0]


def test_a_full_range_is_an_error_with_a_remedy() -> None:
    pool = AddressPool("10.244.1.0/29")
    for _ in range(5):
        pool.take()
    with pytest.raises(SandboxError, match="no free address") as caught:
        pool.take()
    assert caught.value.remedy
