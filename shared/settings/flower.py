"""`[flower]`: where the dashboard is served, to whom, and what they may do there."""

import json
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from shared.settings.fields import Seconds, is_loopback
from shared.settings.section import Section


def _check_credential(credential: SecretStr) -> SecretStr:
    user, _, password = credential.get_secret_value().partition(":")
    if not (user and password and credential.get_secret_value().isascii()):
        raise ValueError('a credential is "user:password", both of ASCII characters')
    return credential


def _listed(value: object) -> object:
    """A list as a secret file or a variable holds it: one on each line, or JSON."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.lstrip().startswith("[") else value.splitlines()


def _check_url(value: str) -> str:
    url = urlsplit(value)
    if not url.hostname or not (
        url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname))
    ):
        raise ValueError("a URL here starts with https://")
    return value.rstrip("/")


Credential = Annotated[SecretStr, AfterValidator(_check_credential)]
Url = Annotated[str, AfterValidator(_check_url)]
Email = Annotated[str, Field(pattern=r"^[^|*@\s]+@[^|*@\s]+$|^\*@[^|*@\s]+$")]


class Login(Section):
    """OAuth 2.0 (RFC 6749): who the provider says that somebody is, and whether they may look."""

    provider: Literal["google", "github", "gitlab", "oidc"]
    client_id: str
    client_secret: SecretStr
    redirect_uri: Url
    emails: Annotated[tuple[Email, ...], Field(min_length=1)]
    server: Url | None = None  # of an OpenID Connect provider, its issuer

    @model_validator(mode="after")
    def _fits_its_provider(self) -> "Login":
        if self.server is None and self.provider == "oidc":
            raise ValueError('provider = "oidc" needs a server')
        if self.server is not None and self.provider == "google":
            raise ValueError('provider = "google" has a server of its own')
        if not self.redirect_uri.endswith("/login"):
            raise ValueError("redirect_uri must end in /login: that is what Flower serves")
        if len(self.emails) > 1 and any(email.startswith("*") for email in self.emails):
            raise ValueError('emails are either one "*@domain", or addresses')
        return self


class Flower(Section):
    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 5555  # 0: any free port
    url_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] | None = None
    basic_auth: Annotated[tuple[Credential, ...], NoDecode, BeforeValidator(_listed)] = ()
    login: Login | None = None
    read_only: bool = True
    save_interval: Annotated[Seconds, Field(gt=0)] = 60

    @model_validator(mode="after")
    def _asks_once(self) -> "Flower":
        if self.basic_auth and self.login is not None:
            raise ValueError("either basic_auth or [flower.login], not both")
        return self

    @property
    def asks_who(self) -> bool:
        """Whether nobody sees it without saying who they are."""
        return bool(self.basic_auth) or self.login is not None
