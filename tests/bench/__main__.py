"""All benches, or those that are named.

    python -m tests.bench [PART ...] [--write]

`--write` puts each into its section of docs/benchmarks.md as it ends.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import (
    crowd,
    dispatch,
    handover,
    large_instance,
    receive,
    send,
    start,
    storescu,
)
from tests.bench.page import Section, write

_BENCHES: dict[str, tuple[Section, Callable[[Path], str]]] = {
    "start": (Section.START, start.measure),
    "dispatch": (Section.DISPATCH, dispatch.measure),
    "handover": (Section.HANDOVER, handover.measure),
    "large_instance": (Section.LARGE_INSTANCE, large_instance.measure),
    "crowd": (Section.CROWD, crowd.measure),
    "storescu": (Section.STORESCU, storescu.measure),
    "send": (Section.SENDING, send.measure),
    "receive": (Section.RECEIVING, receive.measure),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", nargs="*", help=", ".join(_BENCHES))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    # Removed at the end only: who makes files soon after many were removed is slowed down.
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        for name in given.part or _BENCHES:
            section, measure = _BENCHES[name]
            text = measure(Path(folder) / name)
            print(f"## {section}\n\n{text}", flush=True)
            if given.write:
                write(section, text)


if __name__ == "__main__":
    main()
