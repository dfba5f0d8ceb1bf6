"""Whether a template may be sent today: what the institution's file of templates says of it. Pure.

The platform of a channel approves texts and takes the approval away again; ``template_quality.csv`` says where each
stands. What the file says of a template holds for that template, never for its channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from puntual.campaigns.templates import Template

SOURCE = "template_quality.csv"
APPROVED = "approved"
RED = "red"
NOT_LISTED = "not_listed"


@dataclass(frozen=True)
class Standing:
    """What is known of the templates.

    ``rows``: channel, name, status and quality of each row of the file. ``rules``: by channel, the contact rule that
    asks for an approved template; there a template that the file does not name is not approved.
    """

    rows: tuple[tuple[str, str, str, str], ...]
    rules: Mapping[str, str]

    @classmethod
    def of(cls, told: pd.DataFrame | None, rules: Mapping[str, str]) -> Standing | None:
        """From the rows of the file; None without it: nobody keeps account of templates.

        Args:
            told: channel_code, template_id, status_code, quality_code.
            rules: see :class:`Standing`.
        """
        if told is None:
            return None
        names = ["channel_code", "template_id", "status_code", "quality_code"]
        cells = (["" if pd.isna(cell) else str(cell) for cell in told[name]] for name in names)
        return cls(tuple(sorted(zip(*cells, strict=True))), dict(rules))

    def why_not(self, template: Template) -> str | None:
        """Why the template may not be sent: its status, ``red``, or ``not_listed``; None: it may.

        A row names a template by its id, by the name under which it was approved, or by id, language and version as
        campaign files do; of several rows each must let it through.
        """
        known = names_of(template)
        mine = [(status, quality) for channel, name, status, quality in self.rows
                if channel == template.channel and name in known]  # fmt: skip
        if not mine:
            return NOT_LISTED if template.channel in self.rules else None
        for status, quality in mine:
            if status != APPROVED:
                return status or "without_status"
            if quality == RED:
                return RED
        return None

    def holds(self, template: Template, why: str) -> list[str]:
        """The rules that hold a message of the template back: the contact rule if there is one, and what is said."""
        said = f"template_quality/{template.id}/{why}"
        return [self.rules[template.channel], said] if template.channel in self.rules else [said]

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {"rows": [list(row) for row in self.rows], "rules": dict(self.rules)}

    @classmethod
    def parse(cls, content: Mapping[str, Any] | None) -> Standing | None:
        """What :meth:`dump` wrote; None stays None."""
        if content is None:
            return None
        return cls(tuple((row[0], row[1], row[2], row[3]) for row in content["rows"]), content["rules"])


def names_of(template: Template) -> set[str]:
    """The names by which the file may speak of a template."""
    named = {template.id, f"{template.id}_{template.language}_v{template.version}"}
    return named | ({template.approved_name} if template.approved_name else set())


def rows_in_use(told: pd.DataFrame | None, templates: Iterable[Template]) -> pd.DataFrame | None:
    """Rows of the file that name one of ``templates`` of the row's channel; None stays None."""
    if told is None:
        return None
    known = {(one.channel, name) for one in templates for name in names_of(one)}
    named = zip(told["channel_code"], told["template_id"], strict=True)
    return told[pd.Series([one in known for one in named], index=told.index, dtype=bool)].reset_index(drop=True)
