"""The settings as one whole, with the faults that only show between sections."""

import hashlib
import json
from functools import cached_property
from pathlib import Path

from pydantic import PrivateAttr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings.dead_conditions import dead_conditions
from shared.settings.fields import Name, is_loopback
from shared.settings.flower import Flower
from shared.settings.pipeline_kinds import Pipeline
from shared.settings.receiving import AeTitleEntry, Receiver
from shared.settings.sections import (
    Destination,
    Dicom,
    Exporter,
    ForwardPipeline,
    Log,
    Redis,
    Storage,
    Workers,
)

ENV_PREFIX = "PENSTOCK_"


class Settings(BaseSettings):
    """`penstock.toml` with environment and secret files over it; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    storage: Storage = Storage()
    dicom: Dicom = Dicom()
    receiver: Receiver = Receiver()
    ae_titles: tuple[AeTitleEntry, ...] = (AeTitleEntry(title="PENSTOCK", pipeline="keep"),)
    pipelines: dict[Name, Pipeline] = {"keep": ForwardPipeline(kind="forward")}
    exporter: Exporter = Exporter()
    destinations: dict[Name, Destination] = {}
    redis: Redis = Redis()
    workers: Workers = Workers()
    flower: Flower = Flower()
    log: Log = Log()

    _source: Path | None = PrivateAttr(default=None)
    _as_of: float = PrivateAttr(default=0.0)

    @model_validator(mode="after")
    def _sections_fit_together(self) -> "Settings":
        if faults := self._faults():
            raise ValueError("\n".join(faults))
        return self

    def _faults(self) -> list[str]:
        faults = []
        titles = [entry.title for entry in self.ae_titles]
        if not titles:
            faults.append("ae_titles: at least one AE title is needed")
        for position, entry in enumerate(self.ae_titles):
            if entry.title in titles[:position]:
                faults.append(f"ae_titles.{position}.title: {entry.title!r} stands there twice")
            faults += [
                f"ae_titles.{position}.pipeline: no pipeline is named {name!r}"
                for name in entry.pipeline_names
                if name not in self.pipelines
            ]
        for name, pipeline in self.pipelines.items():
            faults += [
                f"pipelines.{name}.export_to: no destination is named {destination!r}"
                for destination in pipeline.export_to
                if destination not in self.destinations
            ]
        receiver = self.receiver
        faults += dead_conditions(self.ae_titles, self.pipelines, receiver)
        if receiver.default_ae_title is not None and receiver.default_ae_title not in titles:
            faults.append(
                f"receiver.default_ae_title: {receiver.default_ae_title!r} is not in ae_titles"
            )
        if not receiver.verify_called_ae_title and receiver.default_ae_title is None:
            faults.append(
                "receiver.default_ae_title: needed when verify_called_ae_title is false,"
                " to say whose pipeline unknown called titles get"
            )
        if receiver.verify_calling_ae_title and not (
            receiver.allowed_calling or all(entry.allowed_calling for entry in self.ae_titles)
        ):
            faults.append(
                "receiver.allowed_calling: empty, and verify_calling_ae_title is true:"
                " nobody could associate"
            )
        if not is_loopback(self.flower.host) and not self.flower.asks_who:
            faults.append(
                f"flower.host: {self.flower.host!r} is not loopback,"
                " so basic_auth or [flower.login] must say who may look"
            )
        return faults

    def ae_title(self, title: str) -> AeTitleEntry | None:
        """Our entry for a called AE title; None where it is not configured."""
        return next((entry for entry in self.ae_titles if entry.title == title), None)

    @property
    def source(self) -> Path | None:
        """The file these settings were read from; None for defaults and environment alone."""
        return self._source

    @property
    def as_of(self) -> float:
        """When the file was changed (POSIX time), or these were read where there is none."""
        return self._as_of

    @cached_property
    def revision(self) -> str:
        """Changes with any value that is in force; part of every delivery's record."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
