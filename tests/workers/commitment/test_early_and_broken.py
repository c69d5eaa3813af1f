"""Destinations that answer before they are due to, or break off."""

from collections.abc import Callable

from shared.upper_layer.dimse import encode_command
from shared.upper_layer.events import MessageReceived
from shared.upper_layer.n_services import (
    ActionRequest,
    ActionResponse,
    EventReportRequest,
    EventReportResponse,
)
from shared.upper_layer.writer import command_pdus, data_pdus
from tests.workers.commitment.asking import STATE, THREE, asked_again_in, end, standing
from tests.workers.raw_scp import Connection, RawScp
from tests.workers.site import MakeSite, Site
from workers.steps.outcome import Done, TryAgain


def test_a_report_that_comes_before_the_response_is_taken(make_site: MakeSite) -> None:
    def answer(peer: Connection, context_id: int) -> None:
        message, asked = question(peer)
        # It says what is kept by the same elements.
        report = EventReportRequest(9, message.sop_class_uid, message.sop_instance_uid, 1)
        command = command_pdus(context_id, encode_command(report), 16000)
        peer.socket.sendall(command + b"".join(data_pdus(context_id, asked, 16000, last=True)))
        response = peer.expect(MessageReceived).message
        assert isinstance(response, EventReportResponse)
        assert response.status == 0
        accept(peer, context_id, message)
        peer.release()

    with RawScp(in_turn(take_one, answer)) as scp:
        site = asking_at(make_site, scp)
        job_id = site.exporting(THREE[0])
        assert asked_again_in(site.export(job_id)) == 0
        assert site.export(job_id) == Done()
    assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED


def in_turn(*scripts: Callable[[Connection, int], None]) -> Callable[[Connection], None]:
    """One for each connection, with the id of its first context."""
    left = list(scripts)

    def script(peer: Connection) -> None:
        left.pop(0)(peer, peer.accept().presentation_contexts[0].id)

    return script


def take_one(peer: Connection, context_id: int) -> None:
    peer.respond(peer.stored()[0], 0)
    peer.release()


def question(peer: Connection) -> tuple[ActionRequest, memoryview]:
    message = peer.expect(MessageReceived).message
    assert isinstance(message, ActionRequest)
    return message, memoryview(b"".join(peer.fragments()))


def accept(peer: Connection, context_id: int, message: ActionRequest) -> None:
    response = ActionResponse(message.message_id, "", "", 1, 0)
    peer.socket.sendall(peer.acceptor.respond(context_id, response))


def asking_at(make_site: MakeSite, scp: RawScp) -> Site:
    at = {"ae_title": "PACS", "host": "127.0.0.1", "port": scp.port, "storage_commitment": True}
    return make_site(
        pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
        destinations={"PACS": at | {"commitment_linger": "10s"}},
    )


def test_who_breaks_off_after_its_answer_is_awaited_all_the_same(
    make_site: MakeSite,
) -> None:
    def break_off(peer: Connection, context_id: int) -> None:
        message, _ = question(peer)
        accept(peer, context_id, message)
        peer.abort()

    with RawScp(in_turn(take_one, break_off)) as scp:
        site = asking_at(make_site, scp)
        job_id = site.exporting(THREE[0])
        assert asked_again_in(site.export(job_id)) > 21500
    assert standing(site, job_id) is STATE.AWAITING_COMMITMENT


def test_who_breaks_off_before_its_answer_is_asked_anew(make_site: MakeSite) -> None:
    asked: list[bytes] = []

    def break_off(peer: Connection, context_id: int) -> None:
        asked.append(bytes(question(peer)[1]))
        peer.abort()

    def answer(peer: Connection, context_id: int) -> None:
        message, data_set = question(peer)
        asked.append(bytes(data_set))
        accept(peer, context_id, message)
        peer.abort()

    with RawScp(in_turn(take_one, break_off, answer)) as scp:
        site = asking_at(make_site, scp)
        job_id = site.exporting(THREE[0])
        outcome = site.export(job_id)
        assert isinstance(outcome, TryAgain)
        assert outcome.trouble
        assert standing(site, job_id) is STATE.RETRYING
        assert asked_again_in(site.export(job_id)) > 21500
    first, second = asked
    assert first != second  # by their Transaction UIDs
