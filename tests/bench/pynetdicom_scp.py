"""pynetdicom's server, with nothing but writing in its handler.

python -m tests.bench.pynetdicom_scp FOLDER PORT
"""

import sys
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, evt


def main(folder: Path, port: int) -> None:
    def store(event: evt.Event) -> int:
        name = f"{event.request.AffectedSOPInstanceUID}.dcm"
        (folder / name).write_bytes(event.encoded_dataset())
        return 0x0000

    ae = AE("BENCH")
    ae.maximum_associations = 1000
    ae.maximum_pdu_size = 131072
    ae.supported_contexts = AllStoragePresentationContexts
    ae.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
