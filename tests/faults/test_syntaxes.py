"""Every transfer syntax and SOP class (R15): the bytes on disk are the bytes sent."""

import random
from collections.abc import Iterator

from pydicom._uid_dict import UID_dictionary

from shared.part10 import read_file_meta
from shared.sop_classes import is_storage
from shared.upper_layer.presentation_context import ProposedContext
from tests.faults.invariants import check_whole
from tests.support.receivers import ReceiverProcess
from tests.support.samples import CT, EXPLICIT, bundled_samples, data_set_of

PRIVATE = ["1.2.840.113619.5.2", "1.2.826.0.1.3680043.2.494.1.1", "1.3.46.670589.33.1.4.1"]
TRANSFER_SYNTAXES = [
    uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "Transfer Syntax"
] + PRIVATE
SOP_CLASSES = [uid for uid in UID_dictionary if is_storage(uid)] + [
    "1.3.46.670589.11.0.0.12.1",
    "1.2.840.10008.5.1.4.1.1.999",  # newer than we know
]
CONTEXTS = 128  # in one association


def arbitrary(seed: str) -> bytes:
    """Of any even length, and no data set at all: it is not for the receiver to parse."""
    chance = random.Random(seed)
    return chance.randbytes(2 * chance.randint(0, 60_000))


def contexts(kinds: list[tuple[str, str]]) -> Iterator[list[ProposedContext]]:
    """A context for each SOP class and transfer syntax, as many associations as that takes."""
    for start in range(0, len(kinds), CONTEXTS):
        yield [
            ProposedContext(2 * n + 1, sop_class, (transfer_syntax,))
            for n, (sop_class, transfer_syntax) in enumerate(kinds[start : start + CONTEXTS])
        ]


def check_each_kind_is_kept(receiver: ReceiverProcess, kinds: list[tuple[str, str]]) -> None:
    sent: dict[tuple[str, str], bytes] = {}
    for proposed in contexts(kinds):
        with receiver.associated(contexts=proposed) as scu:
            for context in proposed:
                (transfer_syntax,) = context.transfer_syntaxes
                kind = context.abstract_syntax, transfer_syntax
                sent[kind] = arbitrary("".join(kind))
                response = scu.store(
                    f"1.2.{context.id}",
                    sent[kind],
                    sop_class=context.abstract_syntax,
                    context_id=context.id,
                )
                assert response.status == 0, kind
            scu.release()
    kept = {}
    for folder in receiver.committed():
        for instance in check_whole(folder).instances:
            meta = read_file_meta(folder / instance.file)
            kind = meta.sop_class_uid, meta.transfer_syntax_uid
            kept[kind] = (folder / instance.file).read_bytes()[-len(sent[kind]) or None :]
    assert kept == sent


def test_every_transfer_syntax_known_and_private_is_kept_byte_for_byte(
    receiver: ReceiverProcess,
) -> None:
    assert len(TRANSFER_SYNTAXES) > 50
    check_each_kind_is_kept(receiver, [(CT, syntax) for syntax in TRANSFER_SYNTAXES])


def test_every_storage_class_known_and_private_is_kept_byte_for_byte(
    receiver: ReceiverProcess,
) -> None:
    assert len(SOP_CLASSES) > 150
    check_each_kind_is_kept(receiver, [(sop_class, EXPLICIT) for sop_class in SOP_CLASSES])


def test_real_data_sets_deflated_and_big_endian_too_are_kept_byte_for_byte(
    receiver: ReceiverProcess,
) -> None:
    samples = {f"1.2.{number}": sample for number, sample in enumerate(bundled_samples())}
    kinds = sorted({(s.sop_class_uid, s.transfer_syntax_uid) for s in samples.values()})
    assert {syntax for _, syntax in kinds} >= {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
    (proposed,) = contexts(kinds)
    ids = dict(zip(kinds, (context.id for context in proposed), strict=True))
    with receiver.associated(contexts=proposed) as scu:
        for uid, sample in samples.items():
            context_id = ids[sample.sop_class_uid, sample.transfer_syntax_uid]
            response = scu.store(
                uid, sample.data_set, sop_class=sample.sop_class_uid, context_id=context_id
            )
            assert response.status == 0, sample.path.name
        scu.release()
    (folder,) = receiver.committed()
    for uid, sample in samples.items():
        assert data_set_of(folder / f"{uid}.dcm") == sample.data_set, sample.path.name
