"""pynetdicom's SCU at its best: data sets as they stand in the file; one thread an association.

python -m tests.bench.pynetdicom_scu PORT ASSOCIATIONS NODELAY PATH...
"""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor

from pydicom import dcmread
from pynetdicom import AE, _config, evt


def main(port: int, associations: int, no_delay: bool, paths: list[str]) -> None:
    _config.STORE_SEND_CHUNKED_DATASET = True
    meta = dcmread(paths[0], stop_before_pixels=True).file_meta

    def opened(event: evt.Event) -> None:
        if no_delay:
            sock = event.assoc.dul.socket.socket
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(index: int) -> None:
        ae = AE("SENDER")
        ae.dimse_timeout = 2
        ae.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
        association = ae.associate(
            "127.0.0.1",
            port,
            ae_title="BENCH",
            max_pdu=131072,
            evt_handlers=[(evt.EVT_CONN_OPEN, opened)],
        )
        for path in paths[index::associations]:
            if association.send_c_store(path).get("Status") != 0:
                raise SystemExit("an instance was not taken")
        association.release()

    with ThreadPoolExecutor(associations) as pool:
        list(pool.map(send, range(associations)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4:])
