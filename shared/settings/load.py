"""Reading the settings: where from, in which order, and what is said of a fault."""

import os
import reprlib
import time
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
    TomlConfigSettingsSource,
)

from shared.settings.model import ENV_PREFIX, Settings

DEFAULT_FILE = Path("penstock.toml")
_FILE_VARIABLE = f"{ENV_PREFIX}CONFIG"
_SECRETS_VARIABLE = f"{ENV_PREFIX}SECRETS_DIR"
# Who holds a password, or may be given one by mistake: no value of theirs in an error.
_ANY = "*"
_SECRETS = (
    ("redis",),
    ("flower", "basic_auth"),
    ("flower", "login"),
    *(("pipelines", _ANY, field) for field in ("url", "secret", "headers", "body", "broker")),
)


class InvalidSettingsError(Exception):
    """The settings cannot be used; each fault is a line naming field, value and rule."""

    def __init__(self, source: str, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{source}:\n" + "\n".join(f"  {fault}" for fault in self.faults))


def load(path: Path | None = None) -> Settings:
    """The settings from `path`, else `$PENSTOCK_CONFIG`, else `./penstock.toml`, else defaults.

    The environment overrides the file (`PENSTOCK_RECEIVER__PORT=104`), and so do files in
    `$PENSTOCK_SECRETS_DIR` (`penstock_redis__url`). Relative paths, of `storage.root` and of
    every `tls`, are relative to the settings file.

    Raises:
        InvalidSettingsError: unreadable, not TOML, an unknown key, or a value against its rule.
    """
    path = path or _path_from_environment()
    source = str(path) if path else "defaults and environment"
    unknown = _unknown_variables()
    if unknown:
        raise InvalidSettingsError(source, (f"{name}: no such setting" for name in unknown))
    try:
        settings = _class_reading(path)()
    except ValidationError as error:
        raise InvalidSettingsError(source, _faults(error)) from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, SettingsError) as error:
        raise InvalidSettingsError(source, [str(error)]) from None
    base = path.resolve().parent if path else Path.cwd()
    storage = settings.storage.model_copy(update={"root": base / settings.storage.root})
    receiver = settings.receiver
    if receiver.tls is not None:
        receiver = receiver.model_copy(update={"tls": receiver.tls.placed(base)})
    placed = settings.model_copy(
        update={
            "storage": storage,
            "receiver": receiver,
            "pipelines": {name: each.placed(base) for name, each in settings.pipelines.items()},
            "destinations": {
                name: each.placed(base) for name, each in settings.destinations.items()
            },
        }
    )
    placed._source = path
    placed._as_of = path.stat().st_mtime if path else time.time()
    return placed


def _path_from_environment() -> Path | None:
    if named := os.environ.get(_FILE_VARIABLE):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _unknown_variables() -> list[str]:
    """Nested names whose section does not exist; pydantic-settings would pass them over."""
    sections = {name.upper() for name in Settings.model_fields}
    return [
        name
        for name in os.environ
        if name.startswith(ENV_PREFIX)
        and "__" in name
        and name.removeprefix(ENV_PREFIX).partition("__")[0].upper() not in sections
    ]


def _class_reading(path: Path | None) -> type[Settings]:
    if path is not None:
        path.open("rb").close()  # pydantic-settings takes a missing file for an empty one

    class _SettingsFrom(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            secrets = NestedSecretsSettingsSource(
                file_secret_settings,
                secrets_dir=os.environ.get(_SECRETS_VARIABLE),
                secrets_dir_missing="error",
                secrets_nested_delimiter="__",
            )
            return secrets, env_settings, TomlConfigSettingsSource(settings_cls, path)

    return _SettingsFrom


def _faults(error: ValidationError) -> Iterator[str]:
    for each in error.errors():
        place = _place(each["loc"])
        message = each["msg"].removeprefix("Value error, ")
        if not place:  # faults between sections: each names its field itself
            yield from message.splitlines()
            continue
        field = ".".join(map(str, place))
        if each["type"] == "extra_forbidden":
            yield f"{field}: no such setting"
        elif each["type"] == "missing" or _may_hold_a_secret(place):
            yield f"{field}: {message}"
        else:
            yield f"{field}: {message} (is {reprlib.repr(each['input'])})"


def _may_hold_a_secret(place: tuple[int | str, ...]) -> bool:
    """Whether it is one of the secret places, within one, or around one."""
    return any(
        all(its in (mine, _ANY) for mine, its in zip(place, secret, strict=False))
        for secret in _SECRETS
    )


def _place(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where it stands in the file: pydantic also counts a pipeline's kind as a level."""
    if location[:1] == ("pipelines",):
        location = location[:2] + location[3:]
    return location
