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

from shared.job import Job
from shared.settings.pipeline_kinds import NULL, WHOLE_CALL, WebhookPipeline
from workers.attempts.handover import EngineAttempt
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
    NotStoppedError,
    Succeeded,
    Taken,
)

_TRY_AGAIN = frozenset({408, 425, 429})
_FROM_BETWEEN = frozenset({502, 504})  # of a proxy, who may have handed the request on
_KNOWS_NONE = frozenset({404, 409, 410})  # of who is told to stop: it works no more, or never did
_LONGEST_CANCEL = 30.0  # seconds
_LONGEST_RETRY_AFTER = 3600.0  # seconds


class StatusClass(Enum):
    ACCEPTED = "accepted"
    RETRY = "retry"
    FAILED = "failed"


class Webhook:
    def check(self, section: WebhookPipeline) -> list[str]:
        faults = []
        for url in filter(None, (section.url, section.cancel_url)):
            try:
                _exchange(section, url).probe()
            except NoAnswerError as error:
                faults.append(f"{url.partition('?')[0]}: {error}")
        return faults

    def trigger(self, section: WebhookPipeline, run: AttemptRun) -> AttemptEnd:
        token = EngineAttempt(run.folder, run.attempt).begin_call(run.lease.run, section.deadline)
        body = _body(section, run, token if section.mode == "callback" else "")
        try:
            headers = _headers(section, idempotency_key(run.job, run.attempt), body)
            answer = _exchange(section, section.url).post(body, headers, run.lease.check)
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

    def stop(self, section: WebhookPipeline, job: Job, called: EngineAttempt) -> None:
        assert section.cancel_url is not None
        key = idempotency_key(job, called.attempt)
        ids = {
            "job": job.id,
            "attempt": called.attempt.number,
            "pipeline": job.pipeline,
            "idempotency_key": key,
        }
        if section.mode == "callback":
            ids["token"] = called.handover.token
        body = json.dumps(ids).encode()
        try:
            headers = _headers(section, f"{key}.cancel", body)
            exchange = _exchange(section, section.cancel_url, _LONGEST_CANCEL)
            answer = exchange.post(body, headers, lambda: None)
        except NoAnswerError as error:
            raise NotStoppedError(str(error)) from None
        if answer.status not in _KNOWS_NONE and not 200 <= answer.status < 300:
            raise NotStoppedError(_words(answer))


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


def _exchange(section: WebhookPipeline, url: str, longest: float = float("inf")) -> HttpExchange:
    """`longest`: seconds that the answer may take, whatever the settings say."""
    return HttpExchange(
        url,
        section.tls,
        connect_timeout=section.connect_timeout,
        response_timeout=min(section.response_timeout, longest),
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


def _headers(section: WebhookPipeline, key: str, body: bytes) -> dict[str, str]:
    headers = {name: value.get_secret_value() for name, value in section.headers.items()}
    if section.secret is not None:
        secret = section.secret.get_secret_value().encode()
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        headers["Penstock-Signature"] = f"sha256={signature}"
    return {
        **headers,
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "User-Agent": "Penstock",
        "Connection": "close",
    }


def _words(answer: HttpAnswer) -> str:
    return f"HTTP status {answer.status}"
