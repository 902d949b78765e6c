"""What the service reads from its environment, once, when the process starts."""

from collections.abc import Mapping
from dataclasses import dataclass

from servicekit.settings import ServerSettings, SettingsError, read_number

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The service's settings.

    Attributes:
        server: how the service listens, ends and logs.
        logic_url: the logic service (LOGIC_URL), found by its name in the cluster's DNS and nothing else.
        attempt_seconds: time limit of one attempt at the logic service (ATTEMPT_SECONDS).
        answer_seconds: time limit of all attempts and the pauses between them (ANSWER_SECONDS). With nginx in front
            it keeps what users wait within 2 s.
    """

    server: ServerSettings
    logic_url: str = "http://logic:8080"
    attempt_seconds: float = 0.8
    answer_seconds: float = 1.7

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings that ``environment`` describes; what it leaves out keeps its default.

        Raises:
            SettingsError: a value is not of its kind or out of its range.
        """
        return cls(
            server=ServerSettings.from_environment(environment),
            logic_url=_url(environment, "LOGIC_URL", cls.logic_url),
            attempt_seconds=read_number(environment, "ATTEMPT_SECONDS", cls.attempt_seconds, 0.01, 60),
            answer_seconds=read_number(environment, "ANSWER_SECONDS", cls.answer_seconds, 0.01, 60),
        )


def _url(environment: Mapping[str, str], name: str, default: str) -> str:
    raw = environment.get(name, default).rstrip("/")
    if not raw.startswith(("http://", "https://")):
        raise SettingsError(f"{name}: expected an address with http:// or https://, found {raw!r}; correct or unset it")
    return raw
