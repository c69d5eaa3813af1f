"""A supervisor as a process of its own; prints its log as JSON lines. Argument: the stages."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import structlog

from deploy.processes.part import Part
from deploy.processes.supervisor import PartsNotReadyError, Supervisor


def part(given: dict[str, Any]) -> Part:
    ready_file = given.pop("ready_file", None)
    return Part(**given, is_ready=Path(ready_file).exists if ready_file else None)


def main() -> None:
    given = json.loads(sys.argv[1])
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
    )
    supervisor = Supervisor(
        [[part(one) for one in stage] for stage in given["stages"]],
        ready_within=given["ready_within"],
    )

    def when_ready() -> None:
        structlog.get_logger().info("ready")
        if given["stop_when_ready"]:
            threading.Thread(target=supervisor.request_stop).start()

    try:
        supervisor.run(when_ready)
    except PartsNotReadyError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
