"""Flower, the dashboard: what the workers do now. The job records say what became of a job."""

import asyncio
import os
import re
import signal
from typing import Any

import flower.options  # noqa: F401, defines them
import structlog
from tornado.ioloop import IOLoop
from tornado.options import options

from deploy.dashboard.flower_rows import rows_file
from shared.broker import celery_app
from shared.settings import Settings
from shared.settings.flower import Login

_HANDLERS = {
    "google": "flower.views.auth.GoogleAuth2LoginHandler",
    "github": "flower.views.auth.GithubLoginHandler",
    "gitlab": "flower.views.auth.GitLabLoginHandler",
    "oidc": "deploy.dashboard.oidc.OidcLoginHandler",
}
_COLUMNS = "name,uuid,state,retries,received,runtime,worker,exception"
_REASON = re.compile(r"Step\w+Error\((?P<quote>['\"])(?P<words>.*)(?P=quote)\)")
_MOST_TASKS = 10_000
_FORGET_WORKERS = 24 * 3600  # seconds

log = structlog.get_logger()


def run(settings: Settings, url: str) -> None:
    """Serves until it is told to stop.

    What it is told stays in the memory of this process: neither `ps` nor a file shows it.
    """
    _only_our_settings()
    for name, value in _options(settings).items():
        setattr(options, name, value)
    os.environ.update(_variables(settings.flower.login))
    IOLoop.current().add_callback(_stop_between_callbacks)
    celery_app(url).start(["flower"])


def _stop_between_callbacks() -> None:
    """In the place of Flower's handler, which raises wherever it is.

    Where that is the start of a thread, nothing ends that thread, and Flower waits for it forever.
    """
    loop = asyncio.get_running_loop()
    for stop in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stop, loop.stop)


def _only_our_settings() -> None:
    """Flower's own variables would go before what the settings were checked for."""
    for name in list(os.environ):
        if name.startswith("FLOWER_") and name.removeprefix("FLOWER_").lower() in options:
            log.warning("variable not used: the settings have [flower] for it", variable=name)
            del os.environ[name]


def _options(settings: Settings) -> dict[str, Any]:
    section = settings.flower
    return {
        "address": section.host,
        "port": section.port,
        "url_prefix": section.url_prefix,
        "basic_auth": [credential.get_secret_value() for credential in section.basic_auth],
        "read_only": section.read_only,
        "tasks_columns": _COLUMNS,
        "format_task": _with_plain_reason,
        "max_tasks": _MOST_TASKS,
        "purge_offline_workers": _FORGET_WORKERS,
        "conf": os.devnull,  # else a flowerconfig.py of the working directory is run
        "logging": "warning",
        **_persistence(settings),
        **_login(section.login),
    }


def _with_plain_reason(task: Any) -> Any:
    """A task as the pages show it: of an exception as Celery writes it down, our words."""
    if task.exception and (reason := _REASON.search(task.exception)):
        task.exception = reason["words"]
    return task


def _persistence(settings: Settings) -> dict[str, Any]:
    database = rows_file(settings.storage.root / "flower")
    if database is None:
        return {}
    interval = round(settings.flower.save_interval * 1000)
    return {"persistent": True, "db": str(database), "state_save_interval": interval}


def _login(login: Login | None) -> dict[str, Any]:
    if login is None:
        return {}
    return {
        "auth_provider": _HANDLERS[login.provider],
        "auth": _pattern(login.emails),
        "oauth2_key": login.client_id,
        "oauth2_secret": login.client_secret.get_secret_value(),
        "oauth2_redirect_uri": login.redirect_uri,
    }


def _pattern(emails: tuple[str, ...]) -> str:
    """As Flower has it: addresses between bars, or one with `.*` for any name."""
    return "|".join(emails).replace("*", ".*")


def _variables(login: Login | None) -> dict[str, str]:
    """What Flower's handlers take from nowhere else, when they are imported."""
    if login is None or login.server is None:
        return {}
    if login.provider == "oidc":
        return {"FLOWER_OAUTH2_OKTA_BASE_URL": login.server}
    domain = login.server.removeprefix("https://")
    return {f"FLOWER_{login.provider.upper()}_OAUTH_DOMAIN": domain}
