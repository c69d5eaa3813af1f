import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from receiver.outbox import Outbox
from shared.settings import Settings
from tests.support.receivers import local_receiver, settings_for
from tests.support.samples import data_set
from tests.support.waiting import wait_for

REDIS = {"url": "redis://127.0.0.1:1"}


class AnnounceError(Exception):
    pass


def announcing(monkeypatch: pytest.MonkeyPatch, announce: Callable[[str, str], None]) -> None:
    module = ModuleType("shared.announce")
    module.__dict__.update(AnnounceError=AnnounceError, connect=lambda url, settings: announce)
    monkeypatch.setitem(sys.modules, "shared.announce", module)


def outbox(tmp_path: Path) -> Outbox:
    box = Outbox(Settings(**settings_for(tmp_path, redis=REDIS)))
    box.start()
    return box


def test_what_is_put_is_announced_before_the_outbox_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    announcing(monkeypatch, lambda delivery, priority: told.append((delivery, priority)))
    box = outbox(tmp_path)
    box.put("a", "normal")
    box.put("b", "stat")
    box.close()
    assert told == [("a", "normal"), ("b", "stat")]


def test_after_a_failure_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def announce(delivery: str, priority: str) -> None:
        if not told:
            told.append("failed")
            raise AnnounceError("ConnectionError")
        told.append(delivery)

    announcing(monkeypatch, announce)
    box = outbox(tmp_path)
    box.put("a", "normal")
    box.put("b", "normal")
    box.close()
    assert told == ["failed", "b"]


def test_no_release_waits_for_redis_and_nothing_is_told_before_it_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_answers = threading.Event()
    told: list[tuple[str, bool]] = []

    def announce(delivery: str, priority: str) -> None:
        told.append((delivery, (tmp_path / "committed" / delivery / "delivery.json").exists()))
        redis_answers.wait(20)

    announcing(monkeypatch, announce)
    with local_receiver(tmp_path, redis=REDIS) as receiver:
        for _ in range(3):
            with receiver.associated() as scu:
                scu.store("1.2.3", data_set(100))
                scu.release()
        with receiver.associated() as scu:  # nothing kept, nothing to tell
            scu.release()
        redis_answers.set()
        wait_for(lambda: len(told) == 3)
        assert sorted(told) == [(folder.name, True) for folder in receiver.committed()]
    assert len(told) == 3


def test_with_nobody_to_tell_it_is_quiet(tmp_path: Path) -> None:
    box = Outbox(Settings(**settings_for(tmp_path)))
    box.start()
    box.put("a", "normal")
    box.close()
