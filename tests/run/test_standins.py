"""Which images stand-ins ran for."""

from typing import Any

from flametest.run.standins import stand_ins


def test_images_of_stand_ins_are_named_once_whatever_ran_them() -> None:
    pods: list[dict[str, Any]] = [
        {"status": {"containerStatuses": [{"imageID": "stand-in://redis:7"}, {"imageID": "sandbox://shop/web:1"}]}},
        {"status": {"initContainerStatuses": [{"imageID": "stand-in://busybox"}], "containerStatuses": None}},
        {"status": {"containerStatuses": [{"imageID": "stand-in://redis:7"}, {"imageID": ""}, {}]}},
        {"status": {"containerStatuses": [{"imageID": "docker.io/library/nginx@sha256:00"}]}},
        {},
    ]
    assert stand_ins(pods) == ("busybox", "redis:7")
