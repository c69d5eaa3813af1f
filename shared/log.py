"""Logging: one event a line, JSON for machines, colours for a terminal. No patient data in it."""

import logging
import sys

import structlog

from shared.settings.sections import Log


def configure(settings: Log, part: str) -> None:
    """Sets up this process's log on stderr; `part` is on every line."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )

    def name_part(
        logger: object, method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        return {"part": part, **event}

    common: list[structlog.types.Processor] = [
        name_part,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        common.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    # The libraries' own words (Celery, kombu) in the same form, from warnings on.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=common,
        )
    )
    logging.captureWarnings(True)
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
