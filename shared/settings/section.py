"""What every section of `penstock.toml` is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Read once, whole; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
