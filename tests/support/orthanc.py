"""An Orthanc of the tests' own: its own folder, ports and settings, ended with its block."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from deploy.system import accepts_connections, free_port
from tests.support.programs import program
from tests.support.waiting import wait_for

HOST = "127.0.0.1"


class Orthanc:
    """Asked over its REST API."""

    def __init__(self, http_port: int) -> None:
        self._url = f"http://{HOST}:{http_port}"

    def keep(self, path: Path) -> str:
        """Takes a file in; its id."""
        return str(self._post("/instances", path.read_bytes())["ID"])

    def echo(self, modality: str) -> None:
        """Fails unless it is answered."""
        self._post(f"/modalities/{modality}/echo", b"{}")

    def store(self, modality: str, *ids: str) -> dict[str, Any]:
        """Sends instances, and fails if they are not taken; Orthanc's account of it."""
        return self._post(f"/modalities/{modality}/store", json.dumps({"Resources": ids}).encode())

    def instances(self) -> list[str]:
        """The ids of all that it keeps."""
        return [str(each) for each in json.loads(self._get("/instances"))]

    def files(self) -> list[bytes]:
        """All that it keeps, as files."""
        return [self._get(f"/instances/{each}/file") for each in self.instances()]

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._url + path, timeout=30) as answer:
            return bytes(answer.read())

    def _post(self, path: str, body: bytes) -> dict[str, Any]:
        request = urllib.request.Request(self._url + path, body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.loads(answer.read() or b"{}")
        assert isinstance(found, dict)
        return found


@contextmanager
def orthanc(
    folder: Path,
    modalities: Mapping[str, tuple[str, int]],
    dicom_port: int | None = None,
    script: str = "",
    **further: Any,
) -> Iterator[Orthanc]:
    """`modalities`: by the name that Orthanc is to know it by, the AE title and port of each.

    With a `dicom_port` it is an SCP, too; `script` is its Lua; `further` are settings of its own.
    """
    folder.mkdir()
    http_port = free_port(HOST)
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "LuaScripts": [str(folder / "script.lua")],
        "HttpPort": http_port,
        "DicomServerEnabled": dicom_port is not None,
        "DicomPort": dicom_port or 0,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomModalities": {
            name: [title, HOST, port] for name, (title, port) in modalities.items()
        },
    }
    settings |= further
    (folder / "script.lua").write_text(script)
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        command = [program("Orthanc"), str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        for port in filter(None, (http_port, dicom_port)):
            wait_for(partial(accepts_connections, HOST, port), 30)
        yield Orthanc(http_port)
    finally:
        process.kill()  # it takes seconds to end in peace, and has nothing to lose
        process.wait()
