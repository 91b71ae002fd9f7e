"""Settings that every pushing camera has."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from drivers.push.door import Door, basic_value, network
from lanecontrol.driver import DeviceConfig


class HealthPoll(BaseModel):
    """Asking the camera's own web server now and then, for cameras that send no sign of life."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: str
    """The camera's web server: `tcp://host:80`, or `tls://host:443?ca=FILE`."""
    path: str = Field(default="/", pattern=r"^/[\x21-\x7e]*$", max_length=256)
    """What is asked for. Any answer is a sign of life, also one that wants a password."""
    every_s: float = Field(default=10.0, ge=1, le=600)
    """Time from one question to the next."""
    timeout_s: float = Field(default=3.0, gt=0, le=30)
    """How long the camera may take to answer."""


class SecretHeader(BaseModel):
    """A header that the camera sends with every push."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    """Its name, e.g. `X-Api-Key`."""
    secret: SecretStr = Field(min_length=1)
    """Its value: write `!secret name`, not the value itself."""


def _is_network(text: str) -> str:
    try:
        network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address or network; write 192.0.2.7 or 192.0.2.0/24") from None
    return text


class PushConfig(DeviceConfig):
    """A camera that connects to us. `url` says where to listen."""

    allow: tuple[Annotated[str, AfterValidator(_is_network)], ...] = ()
    """Addresses or networks that may push; without any, whoever reaches the port may."""
    username: str = Field(default="", pattern=r"^[^:\x00-\x1f]*$", max_length=128)
    """User name that the camera must give (HTTP Basic)."""
    password: SecretStr = SecretStr("")
    """Its password: write `!secret name`, not the password itself."""
    header: SecretHeader | None = None
    """A secret header that the camera must send."""
    silence_timeout_s: float | None = Field(default=60.0, gt=0, le=86_400)
    """Without a message that makes sense for so long the camera counts as offline: 2.5 times the period of its sign of
    life, or more. `null` for a camera that sends none: then its silence says nothing."""
    health: HealthPoll | None = None
    """Ask the camera's web server as well; for cameras without a sign of life of their own."""
    skew_limit_s: float = Field(default=2.0, gt=0, le=3600)
    """A camera clock that differs by more is told as the fault `clock_skew`."""
    spool_mib: int = Field(default=256, ge=32, le=65_536)
    """How much may wait on the disk for the ledger."""
    spool_age_h: float = Field(default=72.0, gt=0, le=8784)
    """What waited longer than this is dropped at the next start, and counted as a doubt."""

    @field_validator("url")
    @classmethod
    def _url_is_a_place_to_listen(cls, url: str) -> str:
        if url.startswith(("tcp://", "tls://", "serial://")):
            raise ValueError("the camera connects to us: write where to listen, listen://address:port")
        return url

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> PushConfig:
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("username and password go together")
        return self

    def door(self) -> Door:
        """Who may push."""
        secret = self.header.secret.get_secret_value() if self.header else ""
        return Door(
            networks=tuple(map(network, self.allow)),
            basic=basic_value(self.username, self.password.get_secret_value()),
            header=self.header.name.lower().encode() if self.header else b"",
            secret=secret.encode(),
        )
