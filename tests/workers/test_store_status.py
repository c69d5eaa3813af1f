import pytest

from workers.exports.store_status import Verdict, judge


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
        (0x0122, Verdict.FAILED),
        (0x0112, Verdict.FAILED),
        (0x0124, Verdict.FAILED),
        (0x0214, Verdict.FAILED),
        (0x0210, Verdict.FAILED),
        (0x0211, Verdict.FAILED),
        (0x0212, Verdict.FAILED),
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
