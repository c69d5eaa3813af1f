"""What `penstock up` says of itself: where to send, what becomes of it, what is wrong."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.screens.address import address, flower_address
from deploy.screens.tables import facts, table, text
from deploy.screens.words import size
from shared.settings import Settings
from shared.settings.fields import format_duration, is_loopback
from shared.settings.receiving import Receiver
from shared.tree import StorageTree, Usage

GB = 10**9


def summary(settings: Settings, embedded_server: bool) -> RenderableType:
    """Reads how full the disk is now. Names are shown as they are, never as markup."""
    lines: list[RenderableType] = [_ae_titles(settings), _addresses(settings, embedded_server)]
    if settings.source is None:
        lines.append(_defaults_note(settings))
    usage = StorageTree(settings.storage.root).usage()
    return Group(*lines, *(Text(line, style="bold red") for line in _warnings(settings, usage)))


def _ae_titles(settings: Settings) -> Table:
    titles = table(*map(text, ("AE title", "pipelines", "destinations")))
    for entry in settings.ae_titles:
        pipelines = [settings.pipelines[name] for name in entry.pipeline_names]
        named = zip(entry.pipeline_names, pipelines, strict=True)
        targets = dict.fromkeys(name for pipeline in pipelines for name in pipeline.export_to)
        titles.add_row(
            Text(entry.title, style="bold"),
            Text(", ".join(f"{name} ({pipeline.kind})" for name, pipeline in named)),
            Text(", ".join(_destination(settings, name) for name in targets) or "none"),
        )
    return titles


def _destination(settings: Settings, name: str) -> str:
    destination = settings.destinations[name]
    return f"{name} ({destination.ae_title} at {destination.host}:{destination.port})"


def _addresses(settings: Settings, embedded_server: bool) -> Table:
    root = settings.storage.root
    addresses = facts()
    for label, value in (
        *_receiving(settings.receiver),
        ("Flower", flower_address(settings.flower) or "not enabled"),
        *_http(settings),
        ("storage", str(root)),
        ("Redis", f"embedded, data in {root / 'redis'}" if embedded_server else _redis(settings)),
    ):
        addresses.add_row(label, Text(value))
    return addresses


def _receiving(receiver: Receiver) -> Iterator[tuple[str, str]]:
    if receiver.plain:
        yield "send to", address(receiver.host, receiver.port)
    if receiver.tls is not None:
        yield "with TLS to", address(receiver.host, receiver.tls.port)


def _http(settings: Settings) -> Iterator[tuple[str, str]]:
    http = settings.receiver.http
    if http.port is not None:
        yield "metrics", f"http://{address(http.host, http.port)}/metrics"


def _redis(settings: Settings) -> str:
    """Without what may be a secret in it."""
    assert settings.redis.url is not None
    url = urlsplit(settings.redis.url.get_secret_value())
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _defaults_note(settings: Settings) -> Text:
    entry, storage = settings.ae_titles[0], settings.storage
    only_here = " from this machine only" if is_loopback(settings.receiver.host) else ""
    return Text(
        f"No penstock.toml: the defaults apply. {entry.title} takes instances{only_here} and keeps"
        f" them in {storage.root / 'deliveries'} for {format_duration(storage.job_retention)}."
        " `penstock config init` writes a commented penstock.toml."
    )


def _warnings(settings: Settings, usage: Usage) -> Iterator[str]:
    """The receiver's own reasons to refuse whoever wants to store."""
    storage = settings.storage
    if usage.used_percent >= storage.watermark_percent:
        yield (
            f"Refusing instances: {usage.used_percent:.0f} % of the disk is used,"
            f" storage.watermark_percent is {storage.watermark_percent:g}"
        )
    if usage.free < storage.reserve_gb * GB:
        yield (
            f"Refusing instances: {size(usage.free)} of the disk are free,"
            f" storage.reserve_gb is {storage.reserve_gb:g}"
        )
