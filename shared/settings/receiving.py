"""The sections on what is taken in: where a receiver listens, who may send, and to whom."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.settings.fields import AeTitle, Bytes, Caller, Name, Network, Seconds, SopClass
from shared.settings.section import Section
from shared.settings.sections import MINUTE
from shared.settings.tls import Tls


class Http(Section):
    """`/livez`, `/readyz` and `/metrics` of a receiver."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] | None = None  # unset: none; 0: any free port


class Receiver(Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 11112  # 0: any free port
    plain: bool = True
    tls: Tls | None = None
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 25
    max_half_open: Annotated[int, Field(ge=1, le=10_000)] = 1024
    max_connections_per_address: Annotated[int, Field(ge=1)] | None = None
    proxy_from: tuple[Network, ...] = ()
    verify_called_ae_title: bool = True
    verify_calling_ae_title: bool = False
    allowed_calling: tuple[Caller, ...] = ()
    default_ae_title: AeTitle | None = None
    max_instance_size: Annotated[Bytes, Field(gt=0)] | None = None
    max_association_size: Annotated[Bytes, Field(gt=0)] | None = None
    artim_timeout: Seconds = 30
    pdu_timeout: Seconds = 60
    idle_timeout: Seconds = 10 * MINUTE
    max_association_time: Annotated[Seconds, Field(gt=0)] | None = None
    drain_timeout: Seconds = 30
    reload_on_change: bool = False
    http: Http = Http()

    @model_validator(mode="after")
    def _listens_somewhere(self) -> "Receiver":
        if self.tls is None and not self.plain:
            raise ValueError("plain = false needs [receiver.tls]: else nobody could connect")
        if self.tls is not None and self.plain and self.port and self.port == self.tls.port:
            raise ValueError(f"port and tls.port are both {self.port}")
        return self

    @property
    def served_port(self) -> int:
        """The plain one, or that of TLS where it is the only one."""
        return self.port if self.plain or self.tls is None else self.tls.port


class AeTitleEntry(Section):
    """One of our AE titles: who may call it, and which pipelines get what it takes in."""

    title: AeTitle
    pipeline: Name | None = None
    pipelines: tuple[Name, ...] = ()
    priority: Literal["stat", "normal", "low"] = "normal"
    allowed_calling: tuple[Caller, ...] = ()
    ignored_sop_classes: tuple[SopClass, ...] = ()
    group_by: Literal["association", "study", "series"] = "association"
    quiet_period: Seconds = 60
    max_wait: Seconds = 30 * MINUTE
    on_abort: Literal["hold", "dispatch"] = "hold"

    @model_validator(mode="after")
    def _one_way_to_name_pipelines(self) -> "AeTitleEntry":
        if (self.pipeline is None) == (not self.pipelines):
            raise ValueError("needs either pipeline or pipelines")
        return self

    @model_validator(mode="after")
    def _quiet_within_the_longest_wait(self) -> "AeTitleEntry":
        if self.group_by != "association" and self.quiet_period > self.max_wait:
            raise ValueError("quiet_period must not be over max_wait")
        return self

    @property
    def pipeline_names(self) -> tuple[str, ...]:
        return self.pipelines if self.pipeline is None else (self.pipeline,)
