"""What a whole gateway uses while it works comes back to where it was."""

import os
from pathlib import Path

from tests.support.destinations import Archive
from tests.support.folders import paths_below
from tests.support.gateway import Gateway
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

CT = sample_file("CT_small.dcm")
MANY = 12
PARTS = ("receiver", "exports", "pipelines")


def keys_and_paths(gateway: Gateway) -> tuple[set[str], set[str]]:
    """Without the keys that Redis itself lets go with time, and without Redis' own files."""
    redis, root = gateway.redis, gateway.tree.root
    paths = (path.relative_to(root) for path in paths_below(root))
    return (
        {str(key) for key in redis.scan_iter() if redis.ttl(key) == -1},
        {str(path) for path in paths if "redis" not in path.parts},
    )


def handles(gateway: Gateway) -> list[int]:
    """How many descriptors and threads each part has."""
    processes = [Path("/proc", str(gateway.process(part).pid)) for part in PARTS]
    return [len(list((each / kind).iterdir())) for each in processes for kind in ("fd", "task")]


def memory(gateway: Gateway, part: str) -> int:
    """Resident bytes."""
    pages = Path("/proc", str(gateway.process(part).pid), "statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_files_keys_descriptors_threads_and_memory_come_back(tmp_path: Path) -> None:
    sections = {
        "storage": {
            "root": "storage",
            "watermark_percent": 100,
            "reserve_gb": 0,
            "job_retention": "1s",
            "aborted_retention": "0s",
        },
        "ae_titles": [{"title": "BRAIN", "pipeline": "copy"}],
        "pipelines": {
            "copy": {
                "kind": "command",
                "command": ["sh", "-c", "cp {input}/* {output}"],
                "export_to": ["ARCHIVE"],
            }
        },
    }
    with (
        Archive() as archive,
        Gateway(tmp_path, PARTS, destinations={"ARCHIVE": archive.settings()}, **sections) as it,
    ):

        def work(deliveries: int) -> None:
            """Also an association that is broken off for each, and then all is removed again."""
            before = len(archive.received)
            for _ in range(deliveries):
                assert it.storescu(CT, called="BRAIN").returncode == 0
                held = it.storescu_held(CT, called="BRAIN")
                wait_for(lambda: paths_below(it.tree.incoming, ".dcm"))
                held.kill()
                held.wait()
            wait_for(lambda: len(archive.received) == before + deliveries)
            kept = it.tree.deliveries, it.tree.jobs, it.tree.trash, it.tree.aborted
            wait_for(lambda: not it.jobs() and not any(any(each.iterdir()) for each in kept))

        work(4)  # what is loaded and made once
        rest, held = keys_and_paths(it), handles(it)
        used = [memory(it, part) for part in PARTS]
        work(MANY)
        wait_for(lambda: keys_and_paths(it) == rest)
        # A connection more in a pool is none for each delivery.
        wait_for(
            lambda: all(now < then + MANY for now, then in zip(handles(it), held, strict=True))
        )
        grown = [memory(it, part) - then for part, then in zip(PARTS, used, strict=True)]
        assert max(grown) < 8e6, dict(zip(PARTS, grown, strict=True))
