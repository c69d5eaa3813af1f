"""`kind = "webhook"`: an engine elsewhere that is called by an HTTP POST with a JSON body.

It has done its work when it answers (`mode = "wait"`), or tells later (`mode = "callback"`).
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from shared.settings.pipeline_kinds import NULL, WHOLE_CALL, WebhookPipeline
from workers.handover import EngineAttempt
from workers.pipelines.engine_call import (
    idempotency_key,
    identifiers,
    ids_and_paths,
)
from workers.pipelines.http_exchange import HttpAnswer, HttpExchange, NoAnswerError
from workers.pipelines.kind import (
    AttemptEnd,
    AttemptFailed,
    AttemptRun,
    CallAgain,
    Succeeded,
    Taken,
)

_TRY_AGAIN = frozenset({408, 425, 429})
_FROM_BETWEEN = frozenset({502, 504})  # of a proxy, who may have handed the request on
_LONGEST_RETRY_AFTER = 3600.0  # seconds


class StatusClass(Enum):
    ACCEPTED = "accepted"
    RETRY = "retry"
    FAILED = "failed"


class Webhook:
    def check(self, section: WebhookPipeline) -> list[str]:
        try:
            _exchange(section).probe()
        except NoAnswerError as error:
            return [f"{section.url.partition('?')[0]}: {error}"]
        return []

    def trigger(self, section: WebhookPipeline, run: AttemptRun) -> AttemptEnd:
        token = EngineAttempt(run.folder, run.attempt).begin_call(run.lease.run, section.deadline)
        body = _body(section, run, token if section.mode == "callback" else "")
        try:
            answer = _exchange(section).post(body, _headers(section, run, body), run.lease.check)
        except NoAnswerError as error:
            return CallAgain(str(error), uncertain=error.uncertain)
        match status_class(answer.status, section.answers):
            case StatusClass.ACCEPTED if section.mode == "callback":
                return Taken(section.deadline)
            case StatusClass.ACCEPTED:
                return Succeeded(str(run.attempt.output.relative_to(run.folder.path)))
            case StatusClass.RETRY:
                uncertain = answer.status in _FROM_BETWEEN
                return CallAgain(_words(answer), retry_after(answer.retry_after), uncertain)
            case StatusClass.FAILED:
                return AttemptFailed(_words(answer), final=True)


def status_class(status: int, answers: Mapping[int, str]) -> StatusClass:
    """What a status means; the settings' word goes first."""
    if status in answers:
        return StatusClass(answers[status])
    if 200 <= status < 300:
        return StatusClass.ACCEPTED
    if status in _TRY_AGAIN or status >= 500:
        return StatusClass.RETRY
    return StatusClass.FAILED


def retry_after(header: str | None) -> float | None:
    """Seconds, of either form of Retry-After (RFC 9110 10.2.3), an hour at most; None for none."""
    if header is None:
        return None
    if header.strip().isdecimal():
        seconds = float(header)
    else:
        try:
            at = parsedate_to_datetime(header)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (at - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0), _LONGEST_RETRY_AFTER)


def _exchange(section: WebhookPipeline) -> HttpExchange:
    return HttpExchange(
        section.url,
        section.tls,
        connect_timeout=section.connect_timeout,
        response_timeout=section.response_timeout,
    )


def _body(section: WebhookPipeline, run: AttemptRun, token: str) -> bytes:
    plain = ids_and_paths(run, token)
    call = {**plain, **identifiers(run)}
    if not token:
        del call["token"]
    content = call if section.body is None else _filled(section.body, plain, call)
    return json.dumps(content).encode()


def _filled(value: Any, plain: Mapping[str, Any], call: Mapping[str, Any]) -> Any:
    """The settings' `body`, with what its placeholders stand for."""
    match value:
        case str() if value == WHOLE_CALL:
            return call
        case str() if value == NULL:
            return None
        case str():
            return value.format_map(plain)
        case dict():
            return {name: _filled(each, plain, call) for name, each in value.items()}
        case list():
            return [_filled(each, plain, call) for each in value]
        case _:
            return value


def _headers(section: WebhookPipeline, run: AttemptRun, body: bytes) -> dict[str, str]:
    headers = {name: value.get_secret_value() for name, value in section.headers.items()}
    if section.secret is not None:
        secret = section.secret.get_secret_value().encode()
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        headers["Penstock-Signature"] = f"sha256={signature}"
    return {
        **headers,
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key(run),
        "User-Agent": "Penstock",
        "Connection": "close",
    }


def _words(answer: HttpAnswer) -> str:
    return f"HTTP status {answer.status}"
