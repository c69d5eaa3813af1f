"""What the command loads for which verb, and what the documentation says of them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import pytest
import typer
from typer.main import get_group

from deploy.cli.verbs import VERBS
from tests.support.gateway import REPOSITORY

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


def every_verb() -> Iterator[str]:
    """With the verbs of each, like `jobs retry`."""
    for name, verb in VERBS.items():
        found = getattr(import_module(verb.module), verb.name)
        yield name
        if isinstance(found, typer.Typer):
            yield from (f"{name} {further}" for further in get_group(found).commands)


def documented() -> Iterator[str]:
    """A line like "`penstock jobs hold ID`, `release`" says both."""
    for page in ("README.md", "docs/operations.md"):
        for line in (REPOSITORY / page).read_text().splitlines():
            group = ""
            for said in re.findall(r"`(.+?)`", line):
                words = said.split()
                if words[0] == "penstock":
                    group = " ".join(words[1:2]) if len(words) > 2 else ""
                    yield " ".join(words[1:2])
                    yield " ".join(words[1:3])
                else:
                    yield f"{group} {words[0]}".strip()


@pytest.mark.parametrize("verb", list(every_verb()))
def test_every_verb_is_in_the_readme_or_in_the_operations(verb: str) -> None:
    assert verb in set(documented())
