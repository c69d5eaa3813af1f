"""A pipeline that waits for leave to go on, so that a fault can be put beside it."""

from pathlib import Path
from typing import Any


class HeldPipeline:
    """A pipeline that runs until it is let go, and keeps a log of its runs."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"
        self.notes.mkdir()
        self.hold()

    def section(self, **more: Any) -> dict[str, Any]:
        script = Path(__file__).with_name("pipeline.py")
        return {
            "kind": "command",
            "command": ["python3", str(script), "{input}", "{output}", str(self.notes)],
            "export_to": ["ARCHIVE"],
            **more,
        }

    def hold(self) -> None:
        (self.notes / "hold").touch()

    def let_go(self) -> None:
        (self.notes / "hold").unlink()

    @property
    def log(self) -> list[str]:
        path = self.notes / "log"
        return path.read_text().split() if path.exists() else []
