"""What the command loads for which verb."""

import subprocess
import sys
from importlib import import_module

import pytest

from deploy.cli.verbs import VERBS

HEAVY = ("workers", "celery", "kombu", "redis", "pydicom", "pynetdicom", "prometheus_client")
LOADED = f"""
import sys
import deploy.cli, deploy.cli.receive
print(*[name for name in {HEAVY} if name in sys.modules])
"""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_where_the_table_says(verb: str) -> None:
    assert hasattr(import_module(VERBS[verb].module), VERBS[verb].name)


def test_a_receiver_listens_before_it_loads_what_only_others_need() -> None:
    run = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
