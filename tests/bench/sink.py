"""A destination that is faster than any sender: it answers each C-STORE and keeps nothing.

    python -m tests.bench.sink

Prints its port. Each association has a process of its own. Data sets are thrown away in the
kernel, without being copied out of it.
"""

import contextlib
import os
import signal
import socket
from struct import Struct

from shared.upper_layer.association import Acceptor
from shared.upper_layer.c_services import StoreResponse
from shared.upper_layer.dimse import encode_command
from shared.upper_layer.events import AssociateRequested
from shared.upper_layer.pdu import ReleaseResponse
from shared.upper_layer.pdu_header import PduType
from shared.upper_layer.presentation_context import AnsweredContext, ContextResult
from shared.upper_layer.user_information import UserInformation
from shared.upper_layer.writer import command_pdus

_HEADERS = Struct(">BxLLBB")  # of a P-DATA-TF and of its first presentation data value
_MESSAGE_ID = bytes.fromhex("0000 1001 02000000")  # the header of 0000,0110
_LONGEST = 131072
_COMMAND, _LAST = 1, 2


def serve() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            with sock, contextlib.suppress(EOFError, ConnectionResetError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _accept(sock)
                _answer(sock)
            os._exit(0)
        sock.close()


def _accept(sock: socket.socket) -> None:
    acceptor = Acceptor(_LONGEST)
    while True:
        for event in acceptor.receive(_received(sock)):
            assert isinstance(event, AssociateRequested)
            contexts = tuple(
                AnsweredContext(each.id, ContextResult.ACCEPTANCE, each.transfer_syntaxes[0])
                for each in event.request.presentation_contexts
            )
            sock.sendall(acceptor.accept(contexts, UserInformation(_LONGEST, "2.25.9", "SINK")))
            return


def _answer(sock: socket.socket) -> None:
    buffer = memoryview(bytearray(_LONGEST))
    message_id = 0
    while True:
        headers = _received(sock, _HEADERS.size)
        if headers[0] != PduType.P_DATA_TF:  # as short as an A-RELEASE-RQ is
            sock.sendall(ReleaseResponse().encode())
            return
        while len(headers) < _HEADERS.size:
            headers += _received(sock, _HEADERS.size - len(headers))
        _, length, _, context_id, control = _HEADERS.unpack(headers)
        left = length - (_HEADERS.size - 6)
        if control & _COMMAND:
            sock.recv_into(buffer, left, socket.MSG_WAITALL)
            command = bytes(buffer[:left])
            start = command.index(_MESSAGE_ID) + len(_MESSAGE_ID)
            message_id = int.from_bytes(command[start : start + 2], "little")
            continue
        sock.recv_into(buffer, left, socket.MSG_WAITALL | socket.MSG_TRUNC)
        if control & _LAST:
            response = encode_command(StoreResponse(message_id, "", "", 0))
            sock.sendall(command_pdus(context_id, response, _LONGEST))


def _received(sock: socket.socket, size: int = 65536) -> bytes:
    data = sock.recv(size)
    if not data:
        raise EOFError
    return data


if __name__ == "__main__":
    serve()
