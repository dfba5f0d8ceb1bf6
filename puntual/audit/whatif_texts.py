"""The figures of a what-if as rows of texts, for the terminal and the page."""

from __future__ import annotations

from puntual.audit.texts import MISSING, amount, channel_name, figure, known, percent, say
from puntual.audit.whatif import WhatIf

_NAMED = {"rule", "team", "share"}
_MONEY = {"gain", "provision", "fee", "cost", "value"}


def figure_rows(found: WhatIf, currency: str, language: str) -> list[list[str]]:
    """Label, before, after and difference of every figure of the day."""
    rows = []
    for key, before, after in found.figures():
        group, _, channel = key.partition(".")
        label = (
            say("what_if", "contacts_by", language, channel=channel_name(channel, language))
            if channel
            else say("what_if", group, language)
        )
        change = None if before is None or after is None else after - before
        if key in _MONEY:
            written = [amount(value, currency, language) for value in (before, after)]
            difference = _signed(change, figure(change, language))
        elif key == "gap":
            written = [percent(value, language, 3) for value in (before, after)]
            difference = MISSING
        else:
            written = [figure(value, language, 0) for value in (before, after)]
            difference = _signed(change, figure(change, language, 0))
        rows.append([label, *written, difference])
    return rows


def capacity_rows(found: WhatIf, language: str) -> list[list[str]]:
    """Name, room, use and price of every capacity; where one changed, both figures."""
    rows = []
    for row in found.prices().itertuples():
        rows.append(
            [
                capacity_name(row.capacity_name, row.zone, language),
                _both(figure(row.capacity_count_before, language, 0), figure(row.capacity_count_after, language, 0)),
                _both(figure(row.used_count_before, language, 0), figure(row.used_count_after, language, 0)),
                _both(figure(row.price_amount_before, language), figure(row.price_amount_after, language)),
            ]
        )
    return rows


def capacity_name(name: str, zone: str, language: str) -> str:
    """A capacity of ``prices`` in words: whose it is, of what, where or when.

    >>> capacity_name("collectors:call+visit@azuay", "azuay", "en"), capacity_name("hours:call@08:00-10:00", "", "en")
    ('Collectors: Call + Visit · azuay', 'Hours 08:00-10:00: Call')
    >>> capacity_name("collectors:call [north]", "", "en")
    'Collectors: Call · north'
    >>> capacity_name("team:north", "", "en"), capacity_name("rule:OWN/tier", "", "en")
    ('Limit of the team north', 'Rule OWN/tier')
    >>> capacity_name("share:Andina", "", "en"), capacity_name("share:internal", "", "es")
    ('Cap of Andina', 'Tope de los gestores propios')
    """
    kind, _, named = name.partition(":")
    if kind in _NAMED:
        if known("what_if", f"{kind}_{named}"):
            named = say("what_if", f"{kind}_{named}", language)
        return say("what_if", f"capacity_{kind}", language, named=named)
    name, _, team = name.removesuffix("]").partition(" [") if name.endswith("]") else (name, "", "")
    kind, _, rest = name.partition(":")
    if not known("what_if", f"capacity_{kind}"):
        return name
    rest, _, owner = rest.partition("/")
    channels, _, place = rest.partition("@")
    said = " + ".join(channel_name(one, language) for one in channels.split("+")) if kind != "budget" else ""
    text = say("what_if", f"capacity_{kind}", language, channels=said, band=place)
    where = [team, owner, (place or zone) if kind == "collectors" else zone]
    return " · ".join([text, *(one for one in where if one)])


def channels_text(code: str, language: str) -> str:
    """The contacts of a member as :meth:`WhatIf.members` has them, in words; empty for ``none``.

    >>> channels_text("call+visit", "en")
    'Call + Visit'
    """
    return " + ".join(channel_name(one, language) for one in code.split("+") if one != "none")


def _both(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _signed(value: float | None, text: str) -> str:
    return f"+{text}" if value is not None and value > 0 else text
