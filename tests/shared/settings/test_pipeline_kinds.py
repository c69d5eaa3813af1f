"""The sections of engines elsewhere, and that no secret of theirs is in an error."""

import re
from pathlib import Path

import pytest

from shared.settings.pipeline_kinds import CeleryPipeline, WebhookPipeline
from tests.shared.settings.conftest import Loading, Refusing

PIPELINES_PAGE = Path(__file__).parents[3] / "docs" / "pipelines.md"
WEBHOOK = '[pipelines.keep]\nkind = "webhook"\nurl = "https://engine/x"\n'
CELERY = '[pipelines.keep]\nkind = "celery"\ntask = "t"\nqueue = "q"\nbroker = "redis://b"\n'


def test_what_is_not_said_of_an_engine_has_a_default(loaded: Loading) -> None:
    section = loaded(WEBHOOK).pipelines["keep"]
    assert isinstance(section, WebhookPipeline)
    assert (section.mode, section.deadline, section.response_timeout) == ("wait", 7200, 60)
    assert isinstance(loaded(CELERY).pipelines["keep"], CeleryPipeline)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("engine/x", "http://host/path"),
        ("ftp://engine/x", "http://host/path"),
        ("https:///x", "http://host/path"),
        ("https://me:s3cret@engine/x", "belong into headers"),
        ("https://engine/a b", "no space"),
        ("https://engine/\\u00e4", "ASCII"),
        ("https://engine:99999/x", "ort"),
        ("https://a..b/x", "pipelines.keep.url"),
    ],
)
def test_an_address_that_could_not_be_called_is_refused(
    faults: Refusing, url: str, words: str
) -> None:
    (fault,) = faults(f'[pipelines.keep]\nkind = "webhook"\nurl = "{url}"\n')
    assert words in fault
    assert "s3cret" not in fault


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("headers = { User-Agent = 's3cret' }", "User-Agent is written by Penstock"),
        ("headers = { 'A B' = 's3cret' }", "pattern"),
        ('headers = { X = "s3cret\\r\\nY: 1" }', "printable ASCII"),
        ("secret = { s3cret = 1 }", "string"),
        ("body = { a = ['{s3cret}'] }", "write '{{' for a brace"),
        ("body = { a = '{token.s3cret}' }", "write '{{' for a brace"),
        ("answers = { 100 = 'retry' }", "greater than or equal to 200"),
        ("answers = { 409 = 'fine' }", "'accepted', 'retry' or 'failed'"),
        ("tls = { certificate = 'a.crt' }", "come together"),
        ("mode = 'later'", "'wait' or 'callback'"),
    ],
)
def test_what_an_engine_could_not_be_called_with_is_refused(
    faults: Refusing, line: str, words: str
) -> None:
    (found,) = faults(WEBHOOK + line)
    assert words in found
    if "body" not in line:  # a placeholder is named, a value is not shown
        assert "s3cret" not in found


def test_a_broker_is_refused_without_showing_it(faults: Refusing) -> None:
    (found,) = faults(CELERY.replace("redis://b", "http://:s3cret@b"))
    assert "starts with none of redis://" in found
    assert "s3cret" not in found


def test_secrets_come_from_the_environment_and_are_masked(
    loaded: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_PIPELINES__KEEP__SECRET", "s3cret")
    section = loaded(WEBHOOK + "headers = { X = 'k3y' }").pipelines["keep"]
    assert isinstance(section, WebhookPipeline)
    assert section.secret is not None
    assert section.secret.get_secret_value() == "s3cret"
    shown = loaded(WEBHOOK + "headers = { X = 'k3y' }").model_dump_json()
    assert "s3cret" not in shown
    assert "k3y" not in shown


def examples() -> list[str]:
    blocks = re.findall(r"```toml\n(.*?)```", PIPELINES_PAGE.read_text(), re.S)
    return [block for block in blocks if block.startswith("[pipelines.")]


@pytest.mark.parametrize("example", examples(), ids=lambda text: text.partition("]")[0][1:])
def test_the_examples_of_the_page_about_pipelines_are_settings(
    loaded: Loading, example: str
) -> None:
    name = re.findall(r"\[pipelines\.([\w-]+)\]", example)[0]
    title = f'[[ae_titles]]\ntitle = "AI"\npipeline = "{name}"\n'
    pacs = '[destinations.PACS]\nae_title = "PACS"\nhost = "pacs"\nport = 104\n'
    assert name in loaded(title + pacs + example).pipelines
