"""A `docker` for the PATH, which understands what docs/pipelines.md says to it, and nothing else.

A container is no child of its client, has none of its environment, and outlives it; a signal to the
client reaches the container's first process, which heeds none but SIGKILL, as first processes do.
An image is a shell script; it finds its folders under the one that it is started in.
"""

import json
import os
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PAGE = Path(__file__).parents[2] / "docs" / "pipelines.md"

_PROGRAM = r'''
import json, os, re, shutil, signal, subprocess, sys, time
from pathlib import Path

HOME = Path(__file__).parent
CONTAINERS = HOME / "containers"
VALUES = {"--name", "--user", "--gpus", "--shm-size", "--memory", "-v"}


def fail(text, code):
    print(f"docker: {text}", file=sys.stderr)
    sys.exit(code)


def run(words):
    given = {"volumes": []}
    words = list(words)
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "--rm":
            given[option] = True
        elif option not in VALUES or not words:
            fail(f"unknown flag, or no value for it: {option}", 125)
        elif option == "-v":
            given["volumes"].append(volume(words.pop(0)))
        else:
            given[option] = words.pop(0)
    if (HOME / "down").exists():
        fail("Cannot connect to the Docker daemon. Is the docker daemon running?", 125)
    if not words:
        fail('"docker run" requires at least 1 argument', 125)
    image, *arguments = words
    if not (HOME / "images" / image).exists():
        fail(f"Unable to find image '{image}' locally", 125)
    if not re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9_.-]+", given.get("--name", "")):
        fail("Invalid container name", 125)
    if not re.fullmatch(r"\d+:\d+", given.get("--user", "")):
        fail("unable to find user", 125)
    if not all(re.fullmatch(r"\d+[kmg]", given.get(n, "1g")) for n in ("--memory", "--shm-size")):
        fail("invalid size", 125)
    given |= {"image": image, "arguments": arguments}
    with (HOME / "runs").open("a") as runs:
        print(json.dumps(given), file=runs)
    sys.exit(attend(given))


def volume(text):
    source, target, *options = text.split(":")
    if not (os.path.isabs(source) and os.path.isabs(target) and options in ([], ["ro"])):
        fail(f"invalid volume specification: {text!r}", 125)
    return [source, target, *options]


def attend(given):
    """The client: prints what the container prints, and ends as it does."""
    container = CONTAINERS / given["--name"]
    try:
        container.mkdir(parents=True)
    except FileExistsError:
        fail(f"Conflict. The container name {given['--name']!r} is already in use", 125)
    mine, its = os.pipe()
    subprocess.Popen(
        [sys.executable, "-I", __file__, "shim", json.dumps(given), str(its)],
        env={},
        pass_fds=[its],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(its)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # handed on, and not heeded there
    while data := os.read(mine, 1 << 16):
        os.write(1, data)
    return int((HOME / f"{given['--name']}.exit").read_text())


def shim(given, output):
    """What keeps a container: nobody's child."""
    container, root = CONTAINERS / given["--name"], CONTAINERS / given["--name"] / "root"
    for source, target, *_ in given["volumes"]:
        inside = root / target.lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.symlink_to(source)
    process = subprocess.Popen(
        ["sh", str(HOME / "images" / given["image"]), *given["arguments"]],
        cwd=root,
        env={"PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    )
    (container / "pid.new").write_text(str(process.pid))
    (container / "pid.new").rename(container / "pid")
    code = process.wait()
    (HOME / f"{given['--name']}.exit").write_text(str(code if code >= 0 else 128 - code))
    shutil.rmtree(container)


def kill(names):
    for name in names:
        while (CONTAINERS / name).exists() and not (CONTAINERS / name / "pid").exists():
            time.sleep(0.01)  # it is being created
        try:
            os.killpg(int((CONTAINERS / name / "pid").read_text()), signal.SIGKILL)
        except (OSError, ValueError):
            fail(f"Cannot kill container: {name}: No such container", 1)
        print(name)


match sys.argv[1:]:
    case ["run", *words]:
        run(words)
    case ["kill", *names] if names:
        kill(names)
    case ["shim", given, output]:
        shim(json.loads(given), int(output))
    case words:
        fail(f"not understood: {words}", 125)
'''


@dataclass(frozen=True)
class Run:
    """A `docker run`, as it was understood."""

    name: str
    user: str
    volumes: list[list[str]]
    given: dict[str, Any]


class Docker:
    def __init__(self, folder: Path) -> None:
        """`folder` is to stand on the PATH."""
        self.folder = folder
        (folder / "images").mkdir(parents=True)
        program = folder / "docker"
        program.write_text(f"#!{sys.executable} -I\n{_PROGRAM}")
        program.chmod(0o755)

    @property
    def path(self) -> str:
        """A PATH on which it is the first."""
        return f"{self.folder}:{os.environ['PATH']}"

    def build(self, image: str, script: str) -> None:
        (self.folder / "images" / image).write_text(script)

    def turn_off(self) -> None:
        """Its daemon does not answer."""
        (self.folder / "down").touch()

    @property
    def runs(self) -> list[Run]:
        path = self.folder / "runs"
        found = map(json.loads, path.read_text().splitlines() if path.exists() else [])
        return [Run(each["--name"], each["--user"], each["volumes"], each) for each in found]

    @property
    def containers(self) -> list[str]:
        """The names of those that run."""
        return sorted(path.parent.name for path in self.folder.glob("containers/*/pid"))


def recipes() -> dict[str, dict[str, Any]]:
    """The pipelines of the documentation that have `docker` for their command, by name."""
    blocks = re.findall(r"(?ms)^```toml\n(.*?)^```", _PAGE.read_text())
    return {
        name: section
        for block in blocks
        for name, section in tomllib.loads(block).get("pipelines", {}).items()
        if section.get("command", [""])[0] == "docker"
    }
