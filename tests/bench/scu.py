"""Our SCU as a worker has it: one thread an association.

python -m tests.bench.scu PORT ASSOCIATIONS PATH...
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shared.part10 import read_file_meta
from workers.scu.association import associate
from workers.scu.contexts import contexts_for
from workers.scu.peer import Caller, Peer

CALLER = Caller("SENDER", "2.25.9", "BENCH", 131072, 60, 60)


def send(port: int, paths: list[Path]) -> None:
    metas = [read_file_meta(path) for path in paths]
    with associate(Peer("BENCH", "127.0.0.1", port), CALLER, contexts_for(metas)) as association:
        files = list(zip(paths, metas, strict=True))
        for file, following in zip(files, [*files[1:], None], strict=True):
            if association.store(*file, following).status != 0:
                raise SystemExit("an instance was not taken")


def main(port: int, associations: int, paths: list[Path]) -> None:
    with ThreadPoolExecutor(associations) as pool:
        list(pool.map(lambda index: send(port, paths[index::associations]), range(associations)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), [Path(word) for word in sys.argv[3:]])
