"""Images whose Dockerfile installs Python packages that the sandbox does not have, by wheels of the test."""

from pathlib import Path

import pytest

from flametest.sandbox.launch import SandboxOptions, start
from tests.images.wheels import pip_settings, write_wheel
from tests.sandbox.conftest import Api
from tests.sandbox.image_pods import PODS, log_of, pod, state_of

pytestmark = pytest.mark.sandbox

DOCKERFILE = """\
FROM python:3.11-slim
COPY app.py /app/app.py
RUN apt-get update && apt-get install -y libpq5
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
RUN python -m pip install --no-cache-dir {}
USER 10001
CMD ["sh", "-c", "/opt/venv/bin/kubediff_one && exec python /app/app.py"]
"""
APP = """\
import importlib.util, kubediff_one
print("module", kubediff_one.VERSION, importlib.util.find_spec("flametest"), flush=True)
"""


@pytest.fixture
def api(options: SandboxOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Return the API of a sandbox with two images: pip has a package for one of them."""
    folder = tmp_path / "wheels"
    write_wheel(folder, "kubediff_one", "2.0")
    for name, value in pip_settings(folder).items():
        monkeypatch.setenv(name, value)
    text = ""
    for name, wanted in (("good", "'kubediff-one>=2'"), ("bad", "kubediff-one==9")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(APP)
        (tmp_path / name / "Dockerfile").write_text(DOCKERFILE.format(wanted))
        text += f'[[image]]\nname = "test/{name}:1"\ncontext = "{name}"\n'
    assert options.images_file is not None
    options.images_file.write_text(text)
    return Api(start(options))


def messages(api: Api, name: str, reason: str) -> list[str]:
    """Return the messages of a pod's events of one reason."""
    events = api("/api/v1/namespaces/default/events")["items"]
    return [one["message"] for one in events if (one["involvedObject"]["name"], one["reason"]) == (name, reason)]


def test_an_image_has_the_packages_that_its_dockerfile_installs(api: Api) -> None:
    api(PODS, pod("good", "test/good:1"))
    assert log_of(api, "good") == "script 2.0\nmodule 2.0 None\n"
    (notice,) = messages(api, "good", "ImageDiffers")
    assert notice.endswith("not followed: RUN apt-get install -y libpq5")


@pytest.mark.parametrize(("policy", "reason"), [("Never", "ErrImageNeverPull"), ("IfNotPresent", "ErrImagePull")])
def test_what_pip_cannot_install_is_named_whatever_the_policy(api: Api, policy: str, reason: str) -> None:
    api(PODS, pod("bad", "test/bad:1", container={"imagePullPolicy": policy}))
    expected = (reason, "ImagePullBackOff") if reason == "ErrImagePull" else (reason,)
    found = state_of(api, "bad", lambda state: state.get("waiting", {}).get("reason") in expected)
    told = [found["state"]["waiting"]["message"], *messages(api, "bad", "Failed"), *messages(api, "bad", reason)]
    cause = "No matching distribution found for kubediff-one==9"
    place = "/bad/Dockerfile: RUN python -m pip install --no-cache-dir kubediff-one==9"
    assert any(cause in text and place in text for text in told)
    assert cause in told[0]
