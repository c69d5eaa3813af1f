"""The program, but for one thing: where it calls what `DIES_AT` names, it is killed by SIGKILL.

Like `workers.dispatching.dispatch:make_plan`, or a method, `package.module:Class.method`.
"""

import os
import pkgutil
import re
from typing import Any, NoReturn

from deploy.cli import main
from tests.workers.faults import kill_process


def _die(*_: Any, **__: Any) -> NoReturn:
    kill_process()


if __name__ == "__main__":
    owner, _, name = re.split(r"([:.])(?=\w+$)", os.environ["DIES_AT"])
    setattr(pkgutil.resolve_name(owner), name, _die)
    main()
