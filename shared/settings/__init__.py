"""`penstock.toml`, read and judged whole."""

from shared.settings.load import InvalidSettingsError, load
from shared.settings.model import Settings

__all__ = ["InvalidSettingsError", "Settings", "load"]
