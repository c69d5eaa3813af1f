"""The limit: reads the same bytes from sockets into new files, and does nothing else.

    python -m tests.bench.bare_loop FOLDER none|association|instance

A connection begins with the size of its messages (8 bytes, big endian). Each message becomes a
file and is answered; `END` in place of one ends it. With `association` the files are synced by
four threads as they are closed, and all are waited for before the last answer; with `instance`
each is synced before its answer.
"""

import os
import socket
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path

ANSWER = bytes(150)  # about what a C-STORE response is
END = b"END!"


def serve(folder: Path, sync: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    pool = ThreadPoolExecutor(4)
    threading.stack_size(256 << 10)
    for number in count():
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        home = folder / str(number)
        threading.Thread(target=_take, args=(sock, home, sync, pool), daemon=True).start()


def _take(sock: socket.socket, folder: Path, sync: str, pool: ThreadPoolExecutor) -> None:
    folder.mkdir()
    size = int.from_bytes(_exactly(sock, 8), "big")
    buffer = memoryview(bytearray(256 << 10))
    syncs: list[Future[None]] = []
    for number in count():
        first = sock.recv_into(buffer[: min(size, len(buffer))])
        if first < len(END):
            first += sock.recv_into(buffer[first : len(END)])
        if buffer[: len(END)] == END:
            break
        descriptor = os.open(folder / f"{number}.dcm", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, buffer[:first])
        left = size - first
        while left:
            taken = sock.recv_into(buffer[: min(left, len(buffer))])
            os.write(descriptor, buffer[:taken])
            left -= taken
        if sync == "association":
            syncs.append(pool.submit(_sync, descriptor))
        else:
            if sync == "instance":
                os.fsync(descriptor)
            os.close(descriptor)
        sock.sendall(ANSWER)
    for each in syncs:
        each.result()
    if sync != "none":
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
    sock.sendall(ANSWER)
    sock.close()


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)
    os.close(descriptor)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += sock.recv(count - len(data))
    return data


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
