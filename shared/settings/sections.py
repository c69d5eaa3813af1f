"""The sections of `penstock.toml`, one class each; the defaults are what a section says unasked."""

import string
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from shared.settings.fields import (
    AeTitle,
    Bytes,
    Name,
    PerSecond,
    Seconds,
    Uid,
)
from shared.settings.section import Section
from shared.settings.statuses import Statuses, StatusMeaning
from shared.settings.tls import DestinationTls
from shared.settings.when import When

Port = Annotated[int, Field(ge=1, le=65535)]
Timeout = Annotated[Seconds, Field(gt=0)]
MINUTE, HOUR, DAY = 60, 3600, 86400  # defaults are in seconds
_PER_DESTINATION = (
    "rate_limit",
    "connect_timeout",
    "association_timeout",
    "pdu_timeout",
    "response_timeout",
    "give_up_after",
)
PLACEHOLDERS = ("input", "output", "work", "job", "attempt", "uid", "gid")


class Storage(Section):
    root: Path = Path("data")
    watermark_percent: Annotated[float, Field(gt=0, le=100)] = 75
    watermark_release_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    reserve_gb: Annotated[float, Field(ge=0)] = 5
    reserve_release_gb: Annotated[float, Field(ge=0)] | None = None
    durability: Literal["association", "instance"] = "association"
    aborted_retention: Seconds = 24 * HOUR
    job_retention: Seconds = 7 * DAY
    cancelled_retention: Seconds | None = None  # unset: as job_retention
    failed_retention: Seconds | None = None  # unset: until a person decides
    quarantine_retention: Seconds | None = None  # unset: until a person decides
    trash_retention: Seconds = 0

    @model_validator(mode="after")
    def _released_on_the_side_where_there_is_room(self) -> "Storage":
        if self.watermark_release > self.watermark_percent:
            raise ValueError("watermark_release_percent must not be over watermark_percent")
        if self.reserve_release < self.reserve_gb:
            raise ValueError("reserve_release_gb must not be under reserve_gb")
        return self

    @property
    def watermark_release(self) -> float:
        """Percent. Unset: 5 points under the watermark, or half of a very low one."""
        if self.watermark_release_percent is not None:
            return self.watermark_release_percent
        return max(self.watermark_percent - 5, self.watermark_percent / 2)

    @property
    def reserve_release(self) -> float:
        """GB. Unset: a tenth over the reserve."""
        if self.reserve_release_gb is not None:
            return self.reserve_release_gb
        return self.reserve_gb * 1.1


class Dicom(Section):
    """What both sides, SCP and SCU, say of themselves (PS3.7 D.3.3.2)."""

    implementation_class_uid: Uid = "1.3.6.1.4.1.30071.8"
    implementation_version_name: Annotated[str, Field(pattern="^[ -~]{1,16}$")] = "fo-dicom 4.0.0"
    max_pdu_length: Annotated[int, Field(ge=4096, le=1 << 20)] = 131072


class PipelineSection(Section):
    """What every kind of pipeline has."""

    when: When | None = None  # unset: it takes everything
    export_to: tuple[Name, ...] = ()
    max_parallel: Annotated[int, Field(ge=1)] | None = None
    max_attempts: Annotated[int, Field(ge=1)] = 3

    def placed(self, base: Path) -> Self:
        """With paths that are relative to `base`, the settings file's folder, no more."""
        return self

    @property
    def stops_engines(self) -> bool:
        """Whether an engine elsewhere is to be told when nobody wants its work any more."""
        return False


class CommandPipeline(PipelineSection):
    """A program that reads a folder and writes one; never through a shell."""

    kind: Literal["command"]
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    cancel_command: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    timeout: Seconds = 2 * HOUR
    retry: Literal["always", "tempfail"] = "always"
    tempfail_exit_codes: tuple[Annotated[int, Field(ge=1, le=255)], ...] = (75,)  # EX_TEMPFAIL
    give_up_after: Seconds = DAY
    nice: Annotated[int, Field(ge=0, le=19)] = 0
    memory_limit: Annotated[Bytes, Field(gt=0)] | None = None
    disk_limit: Annotated[Bytes, Field(gt=0)] | None = None
    input: Literal["link", "copy"] = "link"
    output_limit_mb: Annotated[float, Field(gt=0)] = 10

    @field_validator("command", "cancel_command")
    @classmethod
    def _known_placeholders(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            for _, field, spec, conversion in string.Formatter().parse(word):
                if field is not None and (field not in PLACEHOLDERS or spec or conversion):
                    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                    raise ValueError(f"{{{field}}} is none of {known}; write '{{{{' for a brace")
        return words


class ForwardPipeline(PipelineSection):
    """No program: the instances go on to the destinations as they came."""

    kind: Literal["forward"]


class Destination(Section):
    ae_title: AeTitle
    host: str
    port: Port
    tls: DestinationTls | None = None
    max_concurrent_sends: Annotated[int, Field(ge=1)] | None = None
    rate_limit: PerSecond | None = None  # this and the timeouts: unset, as the exporter has it
    connect_timeout: Timeout | None = None
    association_timeout: Timeout | None = None
    pdu_timeout: Timeout | None = None
    response_timeout: Timeout | None = None
    storage_commitment: bool = False
    commitment_timeout: Annotated[Seconds, Field(gt=0)] = 6 * HOUR
    commitment_attempts: Annotated[int, Field(ge=1)] = 3
    commitment_linger: Seconds = 1
    give_up_after: Seconds | None = None
    confirm: Literal["response", "release"] = "response"
    statuses: dict[Statuses, StatusMeaning] = Field(default_factory=dict)

    def placed(self, base: Path) -> "Destination":
        """With paths that are relative to `base` no more."""
        if self.tls is None:
            return self
        return self.model_copy(update={"tls": self.tls.placed(base)})


class Exporter(Section):
    ae_title: AeTitle = "PENSTOCK"
    max_concurrent_sends: Annotated[int, Field(ge=1, le=1000)] = 2
    rate_limit: PerSecond | None = None
    connect_timeout: Timeout = 5
    association_timeout: Timeout = 30
    pdu_timeout: Timeout = MINUTE
    response_timeout: Timeout = MINUTE
    retry_first: Seconds = 5
    retry_longest: Seconds = 10 * MINUTE
    give_up_after: Seconds = 3 * DAY
    probe_after: Annotated[int, Field(ge=1)] = 3

    def towards(self, destination: Destination) -> "Exporter":
        """With what the destination says otherwise."""
        own = {name: getattr(destination, name) for name in _PER_DESTINATION}
        return self.model_copy(
            update={name: value for name, value in own.items() if value is not None}
        )


class Redis(Section):
    """Unset: `penstock up` starts an embedded server of its own."""

    url: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: SecretStr | None) -> SecretStr | None:
        schemes = ("redis://", "rediss://", "unix://")
        if url is not None and not url.get_secret_value().startswith(schemes):
            raise ValueError(f"starts with none of {', '.join(schemes)}")
        return url


class Workers(Section):
    """How many steps of a kind one worker process runs at once, and how its leases run."""

    dispatch_threads: Annotated[int, Field(ge=1)] = 2
    pipeline_threads: Annotated[int, Field(ge=1)] = 4
    export_threads: Annotated[int, Field(ge=1)] | None = None  # as many as sends may be open at all
    granted_lease: Seconds = 15
    running_lease: Seconds = 30
    beat: Seconds = 5
    tick: Seconds = 0.5
    reconcile: Seconds = 10
    housekeeping: Seconds = MINUTE
    drain_timeout: Seconds = 30
    max_step_attempts: Annotated[int, Field(ge=1)] = 10
    give_up_after: Seconds = DAY
    canary_timeout: Annotated[Seconds, Field(gt=0)] = MINUTE

    @model_validator(mode="after")
    def _leases_outlast_beats(self) -> "Workers":
        if self.running_lease < 3 * self.beat:
            raise ValueError("running_lease must be at least three beats")
        return self


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
