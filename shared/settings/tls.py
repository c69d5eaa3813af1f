"""The TLS of connections that come in and of those that go out. Files are PEM."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.settings.fields import AeTitle, CertificateName
from shared.settings.section import Section


class Tls(Section):
    """PS3.15 B.12. Relative paths are relative to the settings file."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    port: Annotated[int, Field(ge=0, le=65535)] = 2762  # 0: any free port
    allowed_calling: dict[CertificateName, tuple[AeTitle, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_need_certificates(self) -> "Tls":
        if self.allowed_calling and self.client_ca is None:
            raise ValueError("allowed_calling needs client_ca: else nobody shows a certificate")
        return self

    def placed(self, base: Path) -> "Tls":
        """With paths that are relative to `base` no more."""
        paths = {"certificate": base / self.certificate, "key": base / self.key}
        if self.client_ca is not None:
            paths["client_ca"] = base / self.client_ca
        return self.model_copy(update=paths)


class ClientTls(Section):
    """How a server's certificate is checked, and ours. Relative paths are so to the settings."""

    ca: Path | None = None  # unset: those that the system trusts
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key come together")
        return self

    def placed(self, base: Path) -> Self:
        """With paths that are relative to `base` no more."""
        files = {name: getattr(self, name) for name in ("ca", "certificate", "key")}
        return self.model_copy(
            update={name: base / path for name, path in files.items() if path is not None}
        )


class DestinationTls(ClientTls):
    """PS3.15 B.12 for a destination. Its certificate is always checked."""

    verify_host_name: bool = True
