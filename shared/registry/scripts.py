"""The Lua functions, each one atomic step; the key names come from `keys`."""

from functools import cache
from importlib.resources import files
from typing import Any

from redis import Redis

from shared.registry import keys


@cache
def _source(name: str) -> str:
    lua = files("shared.registry") / "lua"
    names = "".join(f"local {key} = '{value}'\n" for key, value in keys.LUA_NAMES.items())
    parts = ("common", "common_jobs", name)
    return names + "".join((lua / f"{part}.lua").read_text() for part in parts)


def run(redis: Redis, name: str, *arguments: str | int | float) -> Any:
    """Runs `lua/<name>.lua`; the server keeps it after the first time.

    Raises:
        redis.RedisError: the server is away, or refused.
    """
    return redis.register_script(_source(name))(args=list(arguments))
