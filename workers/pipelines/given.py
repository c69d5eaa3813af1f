"""What a program is given: its words with the placeholders filled in, and its environment."""

import os
from collections.abc import Iterable

from shared.job_folder import Attempt
from shared.settings.sections import CommandPipeline
from workers.pipelines.leftovers import ATTEMPT_VARIABLE, JOB_VARIABLE

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")


class Given:
    def __init__(self, section: CommandPipeline, job_id: str, attempt: Attempt) -> None:
        self._values = {
            "input": str(attempt.input),
            "output": str(attempt.output),
            "work": str(attempt.work),
            "job": job_id,
            "attempt": str(attempt.number),
            "uid": str(os.getuid()),
            "gid": str(os.getgid()),
        }
        self._further = section.environment

    def words(self, template: Iterable[str]) -> list[str]:
        return [word.format_map(self._values) for word in template]

    @property
    def environment(self) -> dict[str, str]:
        """Clean: what the gateway itself was given (addresses, secrets) is not the program's."""
        return {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            **self._further,
            JOB_VARIABLE: self._values["job"],
            ATTEMPT_VARIABLE: self._values["attempt"],
            "MONAI_INPUTPATH": self._values["input"],
            "MONAI_OUTPUTPATH": self._values["output"],
            "HOLOSCAN_INPUT_PATH": self._values["input"],
            "HOLOSCAN_OUTPUT_PATH": self._values["output"],
        }
