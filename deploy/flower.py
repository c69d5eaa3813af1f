"""Flower, the dashboard: what the workers do now. The job records say what became of a job."""

from shared.broker import celery_app
from shared.settings import Settings


def run(settings: Settings, url: str) -> None:
    """Serves until it is told to stop."""
    celery_app(url).start(
        [
            "flower",
            f"--address={settings.flower.host}",
            f"--port={settings.flower.port}",
            "--max-tasks=10000",
            "--read-only",  # revoking a task would not stop its step: that is the gate's to do
            "--logging=warning",
        ]
    )
