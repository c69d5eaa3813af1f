"""A random schedule of troubles under constant load, with the invariants as its oracle.

python -m tests.soak [--seed N] [--seconds N]
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--seconds", type=float, default=600)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="penstock-soak-"))
    if soak(folder, given.seed, given.seconds):
        print(f"left for you to look at: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
