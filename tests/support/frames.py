"""An instance of any size, of which neither side ever holds more than one frame."""

from pathlib import Path

from shared.upper_layer.c_services import StoreResponse
from shared.upper_layer.events import MessageReceived
from tests.support.scu import Scu

MB = 1 << 20


def frame(number: int) -> bytes:
    return number.to_bytes(4, "big") * (MB // 4)


def send_frames(scu: Scu, uid: str, size: int) -> None:
    """Stores it; `size` is in bytes, and whole MB."""
    scu.command(1, scu.store_request(uid))
    frames = size // MB
    for number in range(frames):
        scu.data(1, frame(number), last=number == frames - 1)
    response = scu.expect(MessageReceived).message
    assert isinstance(response, StoreResponse)
    assert response.status == 0


def check_frames(file: Path, size: int) -> None:
    frames = size // MB
    with file.open("rb") as data:
        data.seek(-size, 2)
        assert all(data.read(MB) == frame(number) for number in range(frames))
