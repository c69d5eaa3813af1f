"""Ids: sortable, derived ones stable, and known when seen."""

import time
from functools import partial

import pytest

from shared import ids
from shared.ids import derived_id, is_id, new_id


def test_ids_sort_by_the_second_they_were_made_in(monkeypatch: pytest.MonkeyPatch):
    made = []
    for at in (0, 1, 59, 3600, 86_400, 1_795_344_547, 1_795_344_548):
        monkeypatch.setattr(ids.time, "gmtime", partial(_gmtime, at))
        made.append(new_id())
    assert made == sorted(made)
    assert made[0].startswith("19700101T000000-")
    assert made[-2].startswith("20261122T104907-")


_gmtime = time.gmtime


def test_ids_of_one_second_differ():
    assert len({new_id() for _ in range(1000)}) == 1000


def test_every_id_is_one():
    made = new_id()
    assert is_id(made)
    assert is_id(derived_id(made, "brain-segmentation"))


def test_a_derived_id_is_the_same_each_time_and_in_each_version():
    assert derived_id("20261122T104907-3f9c2a41d07e", "brain") == "20261122T104907-1008e9b8fd56"


def test_derived_ids_differ_by_parent_and_by_name():
    parents = ("20261122T104907-3f9c2a41d07e", "20261122T104907-3f9c2a41d07f")
    derived = {derived_id(parent, name) for parent in parents for name in ("a", "b")}
    assert len(derived) == 4


def test_a_derived_id_stands_beside_its_parent():
    parent = "20261122T104907-3f9c2a41d07e"
    assert derived_id(parent, "a").startswith("20261122T104907-")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alive",
        "..",
        "20261122T104907",
        "20261122T104907-3f9c2a41d07",
        "20261122T104907-3f9c2a41d07e0",
        "20261122T104907-3F9C2A41D07E",
        "20261122T104907-3f9c2a41d07e/",
        "20261122T104907-3f9c2a41d07e\n",
        "2026112T2104907-3f9c2a41d07e",
        "\u0662\u0660\u0662\u0666\u0661\u0661\u0662\u0662T104907-3f9c2a41d07e",
    ],
)
def test_nothing_else_is_an_id(text: str):
    assert not is_id(text)
