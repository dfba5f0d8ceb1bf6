"""The log of decisions behind the published day, for the pages that explain it and play with it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from puntual.audit.chain import AuditLog, Entry, as_archived
from puntual.audit.inputs import load
from puntual.audit.whatif import Change, WhatIf, keys, what_if
from puntual.audit.why import Why, why
from puntual.decision.decide import DecisionOutcome, decide
from puntual.paths import Home
from puntual.settings import home_from_environment
from puntual.snapshot import Snapshot


def entry_of(snapshot: Snapshot) -> tuple[AuditLog, Entry] | None:
    """The log and the entry of what is published; None for a day that an older release published without one.

    Raises:
        AuditError: the log is damaged.
    """
    log = AuditLog(Home(home_from_environment()))
    mine = [one for one in log.entries() if one.kind == "decision" and one.snapshot == snapshot.folder.name]
    return (log, mine[-1]) if mine else None


@st.cache_data(max_entries=200, show_spinner=False)
def explained(snapshot_folder: str, sequence: int, customer_id: str, language: str) -> Why:  # noqa: ARG001 - the key
    """Why a member is contacted like this, or is not. An entry never changes.

    Raises:
        UsageError: the day did not consider that member.
    """
    log = AuditLog(Home(home_from_environment()))
    entry = next(one for one in log.entries() if one.sequence == sequence)
    return why(log, entry, customer_id, language)


@st.cache_resource(max_entries=1, show_spinner=False)
def day_arguments(snapshot_folder: str, sequence: int) -> dict[str, Any]:  # noqa: ARG001 - the key
    """What the day was decided from; shared between readers, who never change it.

    Raises:
        AuditError: the inputs are not kept any more, or are damaged.
    """
    log = AuditLog(Home(home_from_environment()))
    entry = next(one for one in log.entries() if one.sequence == sequence)
    return load(decide, log.inputs(entry).decision, log.archive())


@st.cache_data(max_entries=2, show_spinner=False)
def figures_today(snapshot_folder: str, sequence: int) -> dict[str, float | None]:
    """What can be changed, with its figure of the day."""
    return keys(day_arguments(snapshot_folder, sequence))


@st.cache_resource(max_entries=1, show_spinner=False)
def as_it_was(snapshot_folder: str, sequence: int) -> DecisionOutcome:
    """The decision of the day, decided again once for all comparisons."""
    log = AuditLog(Home(home_from_environment()))
    with as_archived(next(one for one in log.entries() if one.sequence == sequence)):
        return decide(**day_arguments(snapshot_folder, sequence))


@st.cache_resource(max_entries=20, show_spinner=False)
def played(snapshot_folder: str, sequence: int, changes: tuple[str, ...]) -> WhatIf:
    """The day with ``changes`` (``key=value``) beside how it was.

    Raises:
        UsageError: a change that the decision does not take.
    """
    asked = [Change.parse(text) for text in changes]
    return what_if(day_arguments(snapshot_folder, sequence), asked, as_it_was(snapshot_folder, sequence))
