"""Folders that others work in meanwhile."""

import os
from pathlib import Path


def paths_below(folder: Path, suffix: str = "") -> list[Path]:
    """Files and folders at any depth; a folder that goes while it is read has none."""
    walk = os.walk(folder)
    names = (Path(base, name) for base, folders, files in walk for name in (*folders, *files))
    return [path for path in names if path.name.endswith(suffix)]
