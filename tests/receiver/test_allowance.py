from pathlib import Path

import pytest

from receiver.allowance import over_limit
from shared.settings.receiving import Receiver
from tests.support.receivers import local_receiver
from tests.support.samples import data_set

LIMITED = Receiver.model_validate({"max_instance_size": "2GB", "max_association_size": "10GB"})


@pytest.mark.parametrize(
    ("instance", "association", "words"),
    [
        (2 * 10**9, 10 * 10**9, ""),
        (2 * 10**9 + 1, 2 * 10**9 + 1, "instance over 2GB"),
        (1, 10 * 10**9 + 1, "association over 10GB"),
    ],
)
def test_a_limit_is_the_most_that_is_taken(instance: int, association: int, words: str) -> None:
    assert over_limit(instance, association, LIMITED) == words


def test_without_limits_everything_is_taken() -> None:
    assert over_limit(10**15, 10**15, Receiver()) == ""


def test_an_instance_over_its_limit_is_answered_a700_and_the_rest_is_stored(tmp_path: Path) -> None:
    with local_receiver(tmp_path, receiver={"max_instance_size": "1MB"}) as receiver:
        with receiver.associated() as scu:
            assert scu.store("1.2.3", data_set(900_000)).status == 0
            response = scu.store("1.2.4", data_set(3_000_000))
            assert response.status == 0xA700
            assert response.error_comment == "Out of resources: instance over 1MB"
            (folder,) = receiver.incoming()
            assert not list(folder.glob("*.part"))
            assert scu.store("1.2.5", data_set(900_000)).status == 0
            scu.release()
        delivery = receiver.delivery()
        assert [instance.file for instance in delivery.instances] == ["1.2.3.dcm", "1.2.5.dcm"]
        assert delivery.refused == 1


def test_an_instance_is_over_the_limit_by_its_last_byte(tmp_path: Path) -> None:
    with local_receiver(tmp_path) as receiver:
        with receiver.associated() as scu:
            scu.store("1.2.3", data_set(100_000))
            scu.release()
        (instance,) = receiver.delivery().instances
        head = instance.size - 100_000
    limit = f"{(head + 100_000) / 1000}kB"
    limited = local_receiver(tmp_path, receiver={"max_instance_size": limit})
    with limited as receiver, receiver.associated() as scu:
        assert scu.store("1.2.3", data_set(100_000)).status == 0
        assert scu.store("1.2.4", data_set(100_002)).status == 0xA700
        scu.release()


def test_over_the_associations_limit_instances_are_refused_and_what_was_stored_is_committed(
    tmp_path: Path,
) -> None:
    with local_receiver(tmp_path, receiver={"max_association_size": "1MB"}) as receiver:
        with receiver.associated() as scu:
            assert scu.store("1.2.3", data_set(600_000)).status == 0
            assert scu.store("1.2.3", data_set(300_000, fill=1)).status == 0
            response = scu.store("1.2.4", data_set(600_000))
            assert response.status == 0xA700
            assert response.error_comment == "Out of resources: association over 1MB"
            assert scu.store("1.2.5", data_set(50_000)).status == 0, "there is room for that"
            assert scu.echo() == 0
            scu.release()
        delivery = receiver.delivery()
        assert [i.sop_instance_uid for i in delivery.instances] == ["1.2.3", "1.2.3", "1.2.5"]
        assert delivery.refused == 1
