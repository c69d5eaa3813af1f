"""Writes that survive: whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared import durable

WRITE_FOR_EVER = """
import sys
from pathlib import Path
from shared.durable import write_file
path, data = Path(sys.argv[1]), (b"a" * 300_000, b"b" * 300_000)
for number in range(10**9):
    write_file(path, data[number % 2])
    if number == 3:
        print("going", flush=True)
"""


def _name_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def fail(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_file_is_written_and_replaced_whole(tmp_path: Path):
    path = tmp_path / "state.json"
    durable.write_file(path, b"a long old content")
    durable.write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("fault", ["fsync", "rename", "write"])
def test_after_a_fault_the_old_file_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    path = tmp_path / "state.json"
    durable.write_file(path, b"old")
    with monkeypatch.context() as patch:
        if fault == "fsync":
            patch.setattr(durable.os, "fsync", fail)
        elif fault == "rename":
            patch.setattr(Path, "rename", fail)
        with pytest.raises((OSError, TypeError)):
            durable.write_file(path, "no bytes" if fault == "write" else b"new")
    assert path.read_bytes() == b"old"
    durable.write_file(path, b"new")  # what was left aside is in nobody's way
    assert path.read_bytes() == b"new"


def test_the_content_is_synced_before_the_name_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "state.json"
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        synced.append((_name_of(descriptor), path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(durable.os, "fsync", watch)
    durable.write_file(path, b"new")
    assert synced == [(f"{path}.new", False), (str(tmp_path), True)]


def test_a_writer_killed_at_any_moment_leaves_one_whole_content(tmp_path: Path):
    path = tmp_path / "state.json"
    root = str(Path(__file__).parents[2])
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(path)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": root},
        )
        with writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"going\n"
            writer.send_signal(signal.SIGKILL)
        assert path.read_bytes() in (b"a" * 300_000, b"b" * 300_000)


def test_a_move_makes_both_parents_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old, new = tmp_path / "committed", tmp_path / "deliveries"
    for parent in (old, new):
        parent.mkdir()
    (old / "x").mkdir()
    (old / "x" / "file").write_bytes(b"data")
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_directory", synced.append)
    durable.move(old / "x", new / "x")
    assert (new / "x" / "file").read_bytes() == b"data"
    assert sorted(synced) == [old, new]
    durable.move(new / "x", new / "y")
    assert synced[2:] == [new]


def test_moving_what_somebody_else_has_moved_says_so(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        durable.move(tmp_path / "gone", tmp_path / "target")


def test_a_move_never_overwrites_a_folder_that_holds_something(tmp_path: Path):
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    with pytest.raises(OSError, match="not empty"):
        durable.move(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "source" / "source").exists()


def test_files_and_folders_are_really_handed_to_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    synced: list[str] = []
    monkeypatch.setattr(durable.os, "fsync", lambda fd: synced.append(_name_of(fd)))
    durable.sync_file(tmp_path / "file")
    durable.sync_directory(tmp_path)
    assert synced == [str(tmp_path / "file"), str(tmp_path)]
    with pytest.raises(NotADirectoryError):
        durable.sync_directory(tmp_path / "file")
