"""`when` of a pipeline: what it may say, and what can never come true."""

import pytest
import tomli_w

from shared.settings.when import When
from tests.shared.settings.conftest import Loading, Refusing

KEEP = '[pipelines.keep]\nkind = "forward"\n'


def test_a_pipeline_without_one_takes_everything(loaded: Loading) -> None:
    assert loaded(KEEP).pipelines["keep"].when is None


@pytest.mark.parametrize("kind", ["forward", "command", "webhook", "celery"])
def test_every_kind_of_pipeline_may_have_one(loaded: Loading, kind: str) -> None:
    needs = {
        "forward": "",
        "command": 'command = ["true"]',
        "webhook": 'url = "https://engine/x"',
        "celery": 'task = "t"\nqueue = "q"\nbroker = "redis://b"',
    }[kind]
    text = f'[pipelines.keep]\nkind = "{kind}"\n{needs}\n[pipelines.keep.when]\nmodality = ["mr "]'
    assert loaded(text).pipelines["keep"].when == When(modality=("MR",))


def test_sop_classes_are_given_as_those_that_are_ignored(loaded: Loading) -> None:
    text = f'{KEEP}when.sop_class = ["CTImageStorage", "1.2.840.10008.5.1.4.1.1.4", "1.3.6.1.9"]'
    when = loaded(text).pipelines["keep"].when
    assert when is not None
    assert when.sop_class == (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.5.1.4.1.1.4",
        "1.3.6.1.9",
    )


def test_what_is_shown_of_it_is_read_again_as_the_same(loaded: Loading) -> None:
    text = KEEP + 'when = { modality = ["MR"], calling = ["MR02@10.1.2.0/24"] }'
    settings = loaded(text)
    shown = tomli_w.dumps(
        {"pipelines": settings.model_dump(mode="json", exclude_none=True)["pipelines"]}
    )
    assert loaded(shown).pipelines == settings.pipelines


@pytest.mark.parametrize(
    ("when", "place", "words"),
    [
        ("modality = []", "modality", "needs at least one value: of none, none can fit (is [])"),
        ('modality = "MR"', "modality", "tuple"),
        ('modality = [""]', "modality.0", "1 to 64 printable ASCII characters (is '')"),
        ('modality = ["MR\\u00c4"]', "modality.0", "1 to 64 printable ASCII"),
        ('body_part = ["HEAD\\\\NECK"]', "body_part.0", "'*' and '?'"),
        ('body_part = ["[A-Z]"]', "body_part.0", "'*' and '?'"),
        ('sop_class = ["CTImage"]', "sop_class.0", "nor a SOP class keyword"),
        ('sop_class = ["1.2.x"]', "sop_class.0", "a UID is"),
        (
            'sop_class = ["ModalityWorklistInformationModelFind"]',
            "sop_class.0",
            "no storage SOP class",
        ),
        ('calling = ["far too long an AE title"]', "calling.0", "AE title"),
        ('calling = ["CT01@host"]', "calling.0", '"TITLE@address/prefix"'),
        ('modalty = ["MR"]', "modalty", "no such setting"),
        ("", "", "needs modality, body_part, sop_class, calling or otherwise = true"),
        ("otherwise = false", "", "needs modality"),
        ('otherwise = true\nmodality = ["MR"]', "", "otherwise stands alone, without modality"),
    ],
)
def test_what_it_may_not_say_is_named_with_field_value_and_rule(
    faults: Refusing, when: str, place: str, words: str
) -> None:
    (fault,) = faults(f"{KEEP}[pipelines.keep.when]\n{when}\n")
    field = f"pipelines.keep.when.{place}".rstrip(".")
    assert fault.startswith(f"{field}: ")
    assert words in fault


# What can never come true


def site(when: str, title: str = "", receiver: str = "", pipelines: str = '["ai"]') -> str:
    return (
        f'[[ae_titles]]\ntitle = "BRAIN"\npipelines = {pipelines}\n{title}\n'
        f'[pipelines.ai]\nkind = "forward"\n{when}\n'
        f'[pipelines.all]\nkind = "forward"\n[receiver]\n{receiver}\n'
    )


IGNORES_CT = 'ignored_sop_classes = ["CTImageStorage", "MRImageStorage"]'
ONLY_CT01 = 'allowed_calling = ["CT01@10.0.0.0/8"]'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            site('when.sop_class = ["CTImageStorage"]', IGNORES_CT),
            "pipelines.ai.when.sop_class: never matches: 'BRAIN' ignores all of these",
        ),
        (
            site('when.calling = ["CT02"]', ONLY_CT01),
            "pipelines.ai.when.calling: never matches: none of these may associate with 'BRAIN'",
        ),
        (
            site('when.calling = ["CT02"]', "", f"verify_calling_ae_title = true\n{ONLY_CT01}"),
            "pipelines.ai.when.calling: never matches: none of these may associate with 'BRAIN'",
        ),
        (
            site("when.otherwise = true", pipelines='["ai", "all"]'),
            "ae_titles.0.pipelines: a pipeline of 'BRAIN' has when.otherwise,"
            " and no other has a `when` that it could be other than",
        ),
    ],
)
def test_one_that_nothing_can_fulfil_is_a_fault(faults: Refusing, text: str, fault: str) -> None:
    assert faults(text) == (fault,)


@pytest.mark.parametrize(
    "text",
    [
        site('when.sop_class = ["CTImageStorage", "UltrasoundImageStorage"]', IGNORES_CT),
        site('when.calling = ["CT01", "CT02"]', ONLY_CT01),
        site('when.calling = ["CT01@10.1.0.0/16"]', ONLY_CT01),
        site('when.calling = ["CT02"]', "", ONLY_CT01),  # a list that nobody asks
        site(
            'when.calling = ["CT02"]',
            f'{ONLY_CT01}\n[[ae_titles]]\ntitle = "OPEN"\npipeline = "ai"',
        ),
        # No AE title has it: that may be on purpose.
        site('when.calling = ["CT02"]', ONLY_CT01, pipelines='["all"]'),
    ],
)
def test_one_that_something_may_fulfil_is_none(loaded: Loading, text: str) -> None:
    loaded(text)
