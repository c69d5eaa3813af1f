"""A pipeline for tests: notes its start and its end, waits for leave to go on, copies.

    python pipeline.py INPUT OUTPUT NOTES

`NOTES/hold` keeps it waiting; `NOTES/log` gets a line at each start and end, so that two runs at
once would show.
"""

import shutil
import sys
import time
from pathlib import Path


def main(source: Path, output: Path, notes: Path) -> None:
    with (notes / "log").open("a") as log:
        print("start", file=log, flush=True)
        while (notes / "hold").exists():
            time.sleep(0.02)
        for path in source.iterdir():
            shutil.copy(path, output)
        print("end", file=log, flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
