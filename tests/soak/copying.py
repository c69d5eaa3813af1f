"""A pipeline that copies, and notes if it ever runs beside another run of its job.

python copying.py INPUT OUTPUT NOTE
"""

import fcntl
import shutil
import sys
import time
from pathlib import Path

_TAKES = 0.1  # seconds


def main(source: Path, output: Path, note: Path) -> None:
    with note.open("a") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("beside another", file=log)
        print("start", file=log, flush=True)
        time.sleep(_TAKES)
        for path in source.iterdir():
            shutil.copy(path, output)
        print("end", file=log)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
