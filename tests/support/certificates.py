"""Certificates for tests, as the `openssl` command makes them."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


@dataclass(frozen=True, slots=True)
class Certificate:
    certificate: Path
    key: Path


class Authority:
    """A CA with its own folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.certificate, self._key = folder / "ca.crt", folder / "ca.key"
        openssl("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.certificate,
                "-days", 2, "-subj", f"/CN={folder.name}")  # fmt: skip

    def issue(
        self, name: str, subject: str, *, alternative: str = "", days: int = 2
    ) -> Certificate:
        """`subject` as `"/C=DE/CN=ct01"`; negative days make one that has expired."""
        made = Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "")
        openssl("req", *_NEW_KEY, "-keyout", made.key, "-out", request, "-subj", subject)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
                "-CAcreateserial", "-days", days, "-extfile", extensions,
                "-out", made.certificate)  # fmt: skip
        return made


class Hospital:
    """Our certificate, those of some modalities, and one that a stranger had made elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "hospital")
        self.receiver = self.authority.issue("receiver", "/CN=penstock", alternative="IP:127.0.0.1")
        self.ct01 = self.authority.issue(
            "ct01", "/C=DE/O=Hospital/CN=ct01", alternative="DNS:ct01.hospital.example"
        )
        self.mr02 = self.authority.issue("mr02", "/C=DE/O=Hospital/CN=mr02")
        self.expired = self.authority.issue("expired", "/CN=ct01", days=-1)
        self.other_authority = Authority(folder / "elsewhere")
        self.stranger = self.other_authority.issue("ct01", "/C=DE/O=Hospital/CN=ct01")

    def tls(self, *, mutual: bool = True, **values: Any) -> dict[str, Any]:
        """The section `receiver.tls`, on any free port."""
        section = {
            "certificate": str(self.receiver.certificate),
            "key": str(self.receiver.key),
            "port": 0,
        }
        if mutual:
            section["client_ca"] = str(self.authority.certificate)
        return section | values

    def client(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        """What a modality goes by: it checks ours, and shows its own if it has one."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        return context
