import pytest

from shared.settings.statuses import StatusMeaning
from workers.exports.store_status import Verdict, in_words, judge


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.DELIVERED),
        (0xB000, Verdict.WARNING),
        (0xB006, Verdict.WARNING),
        (0xB007, Verdict.WARNING),
        (0xA700, Verdict.LATER),
        (0xA77B, Verdict.LATER),
        (0xA7FF, Verdict.LATER),
        (0x0213, Verdict.LATER),
        (0xA900, Verdict.FAILED),
        (0xA9FF, Verdict.FAILED),
        (0xC000, Verdict.FAILED),
        (0xCFFF, Verdict.FAILED),
        (0x0117, Verdict.FAILED),
        (0x0106, Verdict.FAILED),
        (0x0115, Verdict.FAILED),
        (0x0122, Verdict.REFUSED),
        (0x0112, Verdict.FAILED),
        (0x0124, Verdict.REFUSED),
        (0x0214, Verdict.FAILED),
        (0x0210, Verdict.REFUSED),
        (0x0211, Verdict.REFUSED),
        (0x0212, Verdict.REFUSED),
        (0xA6FF, Verdict.FAILED),
        (0xA800, Verdict.FAILED),
        (0xAFFF, Verdict.FAILED),
        (0xFFFF, Verdict.FAILED),
        (None, Verdict.UNKNOWN),
    ],
)
def test_each_status_has_its_verdict(status: int | None, verdict: Verdict) -> None:
    assert judge(status) is verdict


def test_a_processing_failure_is_final_the_third_time() -> None:
    assert [judge(0x0110, earlier) for earlier in range(3)] == [
        Verdict.LATER,
        Verdict.LATER,
        Verdict.FAILED,
    ]


def test_a_peer_short_of_resources_is_asked_again_however_often() -> None:
    assert judge(0xA700, earlier=100) is Verdict.LATER


def test_a_duplicate_is_ours_if_we_may_have_sent_it() -> None:
    assert judge(0x0111) is Verdict.FAILED
    assert judge(0x0111, sent_before=True) is Verdict.WARNING


def test_of_a_destinations_own_statuses_the_closest_decides() -> None:
    overrides = {
        "C012": StatusMeaning.DELIVERED,
        "C01x": StatusMeaning.RETRY,
        "Cxxx": StatusMeaning.WARNING,
    }
    found = [judge(status, overrides=overrides) for status in (0xC012, 0xC013, 0xC100, 0xA900)]
    assert found == [Verdict.DELIVERED, Verdict.LATER, Verdict.WARNING, Verdict.FAILED]


def test_success_and_no_status_at_all_are_what_they_are_at_any_destination() -> None:
    overrides = {"xxxx": StatusMeaning.FAILED}
    assert judge(0x0000, overrides=overrides) is Verdict.DELIVERED
    assert judge(None, overrides=overrides) is Verdict.UNKNOWN
    assert judge(0xA700, overrides=overrides) is Verdict.FAILED


def test_a_status_that_is_to_be_retried_is_so_however_often() -> None:
    assert judge(0x0110, 100, overrides={"0110": StatusMeaning.RETRY}) is Verdict.LATER


def test_a_status_is_told_with_its_meaning_where_it_has_one() -> None:
    assert in_words(0xA7FF) == "A7FF (out of resources)"
    assert in_words(0xB123) == "B123"
