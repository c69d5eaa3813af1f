"""Which engine wrote the embedded server's data, so that no other one starts on it."""

import json
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.durable import write_file

_VERSION_LINE = re.compile(r"(\w+) server v=(\d+(?:\.\d+)*) ", re.IGNORECASE)


class WrongEngineError(Exception):
    """This engine must not touch that data: an older one can start silently empty on it."""


@dataclass(frozen=True, slots=True)
class Engine:
    name: str
    version: str

    @classmethod
    def of(cls, binary: Path) -> "Engine":
        """What the program says of itself."""
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
        match = _VERSION_LINE.match(said.stdout)
        if match is None:
            raise WrongEngineError(f"{binary} is no engine that is known: {said.stdout.strip()!r}")
        return cls(name=match[1].lower(), version=match[2])

    def take_over(self, directory: Path) -> None:
        """Checks that this engine may open the data there, and notes it beside them.

        Raises:
            WrongEngineError: they are a newer engine's, another's, or nobody knows whose.
        """
        note = directory / "engine.json"
        if not note.exists():
            if (directory / "appendonlydir").exists():
                raise WrongEngineError(f"{directory} holds data, but no {note.name} says whose")
        elif not self._may_follow(writer := _read(note)):
            raise WrongEngineError(
                f"{directory} was written by {writer.name} {writer.version}; "
                f"{self.name} {self.version} could lose what is there"
            )
        # Before the engine starts: from then on the data may be in its format.
        write_file(note, json.dumps(asdict(self)).encode())

    def _may_follow(self, writer: "Engine") -> bool:
        return self.name == writer.name and _numbers(self.version) >= _numbers(writer.version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _read(note: Path) -> Engine:
    try:
        engine = Engine(**json.loads(note.read_text()))
        _numbers(engine.version)
    except (ValueError, TypeError, AttributeError) as error:
        raise WrongEngineError(f"{note} cannot be read: {error}") from None
    return engine
