from pathlib import Path
from typing import Any

import pytest
import tomli_w

from shared.settings import InvalidSettingsError, Settings, load
from shared.settings.statuses import StatusMeaning


def read(folder: Path, statuses: dict[str, Any]) -> Settings:
    destination = {"ae_title": "PACS", "host": "pacs", "port": 104, "statuses": statuses}
    file = folder / "penstock.toml"
    file.write_text(tomli_w.dumps({"destinations": {"PACS": destination}}))
    return load(file)


def test_a_destinations_statuses_are_single_ones_and_ranges_in_any_case(tmp_path: Path) -> None:
    settings = read(tmp_path, {"a900": "retry", "C0XX": "failed", "xxxx": "warning"})
    assert settings.destinations["PACS"].statuses == {
        "A900": StatusMeaning.RETRY,
        "C0xx": StatusMeaning.FAILED,
        "xxxx": StatusMeaning.WARNING,
    }


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ({"A9": "retry"}, "four hexadecimal digits"),
        ({"xA00": "retry"}, "four hexadecimal digits"),
        ({"G000": "retry"}, "four hexadecimal digits"),
        ({"A9000": "retry"}, "four hexadecimal digits"),
        ({"0000": "failed"}, "0000 is success"),
        ({"A900": "again"}, "'delivered', 'warning', 'retry' or 'failed'"),
    ],
)
def test_others_are_refused_with_the_rule(
    tmp_path: Path, statuses: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSettingsError) as raised:
        read(tmp_path, statuses)
    assert said in str(raised.value)
    assert "destinations.PACS.statuses" in str(raised.value)
