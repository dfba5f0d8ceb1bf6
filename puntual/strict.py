"""What data that people write is read into: an unknown key is an error, and a value stays what it was."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Base of all such data."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(Strict):
    """A text in both languages."""

    es: str = Field(min_length=1)
    en: str = Field(min_length=1)
