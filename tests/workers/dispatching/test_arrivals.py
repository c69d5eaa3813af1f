import shutil

import pytest

from shared.delivery import DELIVERY_FILE
from tests.workers.grouping import GroupingSite, image
from workers.dispatching.arrivals import Arrivals, Sender
from workers.dispatching.dispatched import DISPATCHED_FILE
from workers.reconciling import listing

CT01, MR01 = Sender("BRAIN", "CT01"), Sender("BRAIN", "MR01")


@pytest.fixture
def arrivals(grouping: GroupingSite) -> Arrivals:
    return Arrivals(grouping.tree)


def test_a_delivery_is_seen_from_its_first_instance_until_it_is_dispatched(
    grouping: GroupingSite, arrivals: Arrivals
) -> None:
    tree = grouping.tree
    assert arrivals.among({CT01, MR01}) == set()
    folder = grouping.associate()
    assert arrivals.among({CT01, MR01}) == {CT01}
    shutil.rmtree(folder)
    delivery_id = grouping.site.commit(image(1))
    assert arrivals.among({CT01, MR01}) == {CT01}
    (tree.committed / delivery_id).rename(tree.deliveries / delivery_id)
    assert arrivals.among({CT01, MR01}) == {CT01}
    assert arrivals.among({MR01}) == set()
    (tree.deliveries / delivery_id / DISPATCHED_FILE).write_text("{}")
    assert arrivals.among({CT01, MR01}) == set()


def test_several_are_told_apart(grouping: GroupingSite, arrivals: Arrivals) -> None:
    grouping.associate()
    grouping.site.commit(image(1), calling_ae_title="MR01")
    assert arrivals.among({CT01, MR01, Sender("OTHER", "CT01")}) == {CT01, MR01}


def test_a_delivery_that_comes_into_a_folder_long_unchanged_is_seen(
    grouping: GroupingSite, arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries = grouping.tree.deliveries
    grouping.dispatched(image(1))
    monkeypatch.setattr(listing, "_SETTLED", -1.0)  # long unchanged at once
    assert arrivals.among({CT01}) == arrivals.among({CT01}) == set()
    delivery_id = grouping.site.commit(image(2))
    (grouping.tree.committed / delivery_id).rename(deliveries / delivery_id)
    assert arrivals.among({CT01}) == {CT01}


def test_one_that_is_taken_away_undispatched_is_not_waited_for(
    grouping: GroupingSite, arrivals: Arrivals
) -> None:
    delivery_id = grouping.site.commit(image(1))
    folder = (grouping.tree.committed / delivery_id).rename(grouping.tree.deliveries / delivery_id)
    assert arrivals.among({CT01}) == {CT01}
    folder.rename(grouping.tree.quarantine / delivery_id)
    assert arrivals.among({CT01}) == set()


def test_one_whose_record_cannot_be_read_now_is_looked_at_again(
    grouping: GroupingSite, arrivals: Arrivals
) -> None:
    record = grouping.tree.committed / grouping.site.commit(image(1)) / DELIVERY_FILE
    away = record.rename(record.with_suffix(".away"))
    assert arrivals.among({CT01}) == set()
    away.rename(record)
    assert arrivals.among({CT01}) == {CT01}
