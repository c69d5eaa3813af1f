"""The kinds of pipeline that work elsewhere, and how a section's `kind` decides what it may say."""

import string
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
)

from shared.settings.fields import Seconds
from shared.settings.sections import HOUR, CommandPipeline, ForwardPipeline, PipelineSection
from shared.settings.tls import ClientTls

ENTRY_POINTS = "penstock.pipelines"
OWN_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "penstock-signature",
        "transfer-encoding",
        "user-agent",
    }
)
BROKERS = ("redis://", "rediss://", "redis+socket://", "sentinel://", "amqp://", "amqps://")
WHOLE_CALL, NULL = "{call}", "{null}"  # each alone, in the place of a text
CALL_PLACEHOLDERS = (
    "job",
    "attempt",
    "pipeline",
    "idempotency_key",
    "token",
    "input",
    "output",
    "work",
)
_TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 9110 5.6.2

HeaderName = Annotated[str, Field(pattern=_TOKEN)]
Status = Annotated[int, Field(ge=200, le=599)]


class WebhookPipeline(PipelineSection):
    """An engine elsewhere that is called by HTTP."""

    kind: Literal["webhook"]
    url: str
    cancel_url: str | None = None
    mode: Literal["wait", "callback"] = "wait"
    deadline: Seconds = 2 * HOUR
    connect_timeout: Seconds = 5
    response_timeout: Seconds = 60
    secret: SecretStr | None = None
    headers: dict[HeaderName, SecretStr] = Field(default_factory=dict)
    body: dict[str, Any] | None = None
    answers: dict[Status, Literal["accepted", "retry", "failed"]] = Field(default_factory=dict)
    tls: ClientTls = ClientTls()

    @field_validator("url", "cancel_url")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError('an address is "http://host/path" or "https://host/path"')
        if parts.username is not None:
            raise ValueError("names and passwords belong into headers, not into the address")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("no space and nothing but ASCII may be in an address")
        _ = parts.port, parts.hostname.encode("idna")  # each raises a ValueError with words
        return url

    @field_validator("headers")
    @classmethod
    def _of_the_user(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if name.lower() in OWN_HEADERS:
                raise ValueError(f"{name} is written by Penstock")
            text = value.get_secret_value()
            if not (text.isascii() and text.isprintable()):
                raise ValueError(f"{name} may hold nothing but printable ASCII")
        return headers

    @field_validator("body")
    @classmethod
    def _known_placeholders(cls, body: dict[str, Any] | None) -> dict[str, Any] | None:
        for text in _texts(body):
            if text in (WHOLE_CALL, NULL):
                continue
            for _, field, spec, conversion in string.Formatter().parse(text):
                if field is not None and (field not in CALL_PLACEHOLDERS or spec or conversion):
                    known = ", ".join(f"{{{name}}}" for name in CALL_PLACEHOLDERS)
                    raise ValueError(
                        f"{{{field}}} is none of {known}, nor {WHOLE_CALL} or {NULL} alone;"
                        " write '{{' for a brace"
                    )
        return body

    def placed(self, base: Path) -> Self:
        return self.model_copy(update={"tls": self.tls.placed(base)})

    @property
    def stops_engines(self) -> bool:
        return self.cancel_url is not None


class CeleryPipeline(PipelineSection):
    """Workers elsewhere that take a task from a broker of their own."""

    kind: Literal["celery"]
    task: Annotated[str, Field(min_length=1)]
    queue: Annotated[str, Field(min_length=1)]
    broker: SecretStr
    cancel: Literal["revoke", "terminate"] | None = None
    deadline: Seconds = 2 * HOUR
    connect_timeout: Seconds = 5

    @field_validator("broker")
    @classmethod
    def _scheme(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(BROKERS):
            raise ValueError(f"starts with none of {', '.join(BROKERS)}")
        return url

    @property
    def stops_engines(self) -> bool:
        return self.cancel is not None


class InstalledPipeline(PipelineSection):
    """A kind that another package brings; what its section may say, that package decides."""

    model_config = ConfigDict(extra="allow")

    kind: str

    @field_validator("kind")
    @classmethod
    def _is_installed(cls, kind: str) -> str:
        installed = installed_kinds()
        if kind not in installed:
            known = ", ".join([*_HOUSE, *sorted(installed)])
            raise ValueError(f"no kind of pipeline has this name; there are {known}")
        return kind


def installed_kinds() -> dict[str, EntryPoint]:
    """The kinds of other packages, by name; none of their code is imported."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    return {name: point for name, point in found.items() if name not in _HOUSE}


_HOUSE = ("command", "forward", "webhook", "celery")


def _texts(value: object) -> Iterator[str]:
    """Every text in a piece of JSON; names are left as they are."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _tag(value: object) -> str | None:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    if kind in _HOUSE:
        return str(kind)
    return "installed" if isinstance(kind, str) else None


Pipeline = Annotated[
    Annotated[CommandPipeline, Tag("command")]
    | Annotated[ForwardPipeline, Tag("forward")]
    | Annotated[WebhookPipeline, Tag("webhook")]
    | Annotated[CeleryPipeline, Tag("celery")]
    | Annotated[InstalledPipeline, Tag("installed")],
    Discriminator(
        _tag,
        custom_error_type="no_kind",
        custom_error_message='needs a kind, like kind = "command"',
    ),
]
