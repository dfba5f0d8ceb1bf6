"""The explanation and the what-if as pages of the terminal."""

from __future__ import annotations

from datetime import date

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from puntual.audit.texts import figure
from puntual.audit.texts import say as text
from puntual.audit.whatif import WhatIf
from puntual.audit.whatif_texts import capacity_rows, channels_text, figure_rows
from puntual.audit.why import ChannelWhy, Why
from puntual.console import say, table

_out = Console(highlight=False)
_SHOWN = 8


def why_page(found: Why, language: str) -> None:
    """The explanation of one member: a sentence, facts, channel by channel, neighbours in the list, versions."""
    _out.print(Panel(escape(found.headline), title=escape(found.title), title_align="left", border_style="cyan"))
    facts = Table(show_header=False, box=None, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for label, value in found.facts:
        facts.add_row(label, escape(value))
    _out.print(facts)
    if found.reasons:
        _out.print(f"\n[bold]{text('why', 'reasons', language)}[/bold]")
        for reason in found.reasons:
            _out.print(f"  • {escape(reason)}")
    # The verdicts are sentences: beside eight columns of figures a terminal of 80 has no room for them.
    channels = Table(title=text("why", "channels", language), title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    channels.add_column(text("why", "channel", language), overflow="fold")
    for heading in ("gain_short", "provision_short", "fee_short", "cost_short", "net", "price_short", "surplus_short"):
        channels.add_column(text("why", heading, language), justify="right", no_wrap=True)
    for one in found.channels:
        figures = (one.gain, one.provision, one.fee, one.cost, one.net, one.price, one.surplus)
        channels.add_row(one.channel, *figures, style=_style(one))
    _out.print()
    _out.print(channels)
    for one in found.channels:
        _out.print(f"  • {escape(one.channel)}: {escape(one.verdict)}", style=_style(one))
    for note in found.notes:
        _out.print(f"[dim]{escape(note)}[/dim]")
    if found.around:
        around = Table(title=text("why", "around", language), title_justify="left", title_style="bold")
        for heading in ("rank", "member", "net", "owed", "days"):
            around.add_column(text("why", heading, language), justify="left" if heading == "member" else "right")
        for other in found.around:
            mark = f" ← {text('why', 'this_one', language)}" if other.is_this else ""
            around.add_row(
                str(other.rank), escape(other.customer_id) + mark, other.net, other.owed, other.days,
                style="green" if other.is_this else "",
            )  # fmt: skip
        _out.print()
        _out.print(around)
    versions = Table(show_header=False, box=None, pad_edge=False, title=text("why", "versions", language),
                     title_justify="left", title_style="bold")  # fmt: skip
    versions.add_column(style="dim")
    versions.add_column(overflow="fold")
    for label, value in found.versions:
        versions.add_row(label, escape(value))
    _out.print()
    _out.print(versions)


def _style(one: ChannelWhy) -> str:
    return "green" if one.is_chosen else "" if one.is_allowed else "dim"


def what_if_page(found: WhatIf, day: date, currency: str, language: str) -> None:
    """Figures, capacities and lists of a day beside those with something changed."""
    say(f"[bold]{text('what_if', 'title', language, date=day)}[/bold]")
    for change in found.changes:
        say(f"  {change.key}: {_plain(change.before, language)} → {_plain(change.after, language)}")
    if not found.is_money:
        say(f"[yellow]![/yellow] {text('what_if', 'model_off', language)}")
    headings = [text("what_if", key, language) for key in ("figure", "before", "after", "difference")]
    table("", headings, figure_rows(found, currency, language))
    names = ("capacity", "room", "used", "price")
    table(text("what_if", "capacities", language), [text("what_if", key, language) for key in names],
          capacity_rows(found, language))  # fmt: skip
    members = found.members()
    if members.empty:
        say(text("what_if", "nothing_changes", language))
    for kind in ("entering", "leaving", "changed"):
        rows = members[members["kind"] == kind]
        if rows.empty:
            continue
        say(f"[bold]{text('what_if', kind, language)}: {len(rows)}[/bold]")
        shown = ", ".join(
            f"{one.customer_id} ({_way(one.before, one.after, language)})" for one in rows.head(_SHOWN).itertuples()
        )
        more = f" {text('what_if', 'more', language, count=len(rows) - _SHOWN)}" if len(rows) > _SHOWN else ""
        _out.print(f"  {shown}{more}", markup=False)
    say(f"[dim]{text('what_if', 'nothing_written', language)}[/dim]")


def _way(before: str, after: str, language: str) -> str:
    return " → ".join(channels_text(code, language) for code in (before, after) if code != "none")


def _plain(value: float | None, language: str) -> str:
    """A figure with as many decimals as it needs."""
    return figure(value, language, 0 if value is None or float(value).is_integer() else 3)
