"""The `penstock` command, run in this process."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from deploy.cli.app import app


@dataclass(frozen=True)
class Ran:
    code: int
    printed: str
    errors: str

    @property
    def said(self) -> str:
        """On both streams."""
        return self.printed + self.errors

    @property
    def json(self) -> Any:
        return json.loads(self.printed)


def penstock(*words: str | Path, answer: str = "") -> Ran:
    """`answer` is what stands on its standard input."""
    run = CliRunner().invoke(app, [str(word) for word in words], input=answer)
    return Ran(run.exit_code, run.stdout, run.stderr)
