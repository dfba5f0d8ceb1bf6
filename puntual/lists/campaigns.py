"""Campaign files: what each campaign sends, what it holds back and why, and how its texts look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from puntual.campaigns.plan import CampaignPlan
from puntual.campaigns.registry import SUPPRESSED, Campaign, CampaignData
from puntual.campaigns.sms import sms_size
from puntual.campaigns.templates import examples
from puntual.campaigns.variables import Manner, values_of
from puntual.lists.files import keep_private, write_csv
from puntual.lists.rows import COLLECTOR_CHANNELS, ListSettings
from puntual.lists.texts import word

FOLDER = "campaigns"
PREVIEWS = f"{FOLDER}/previews.parquet"

_TEXT, _WHOLE, _MONEY = pa.string(), pa.int64(), pa.float64()
# Column, heading, type. Identifiers are text: a document that begins with 0 keeps it.
_SENT = (
    ("day", "as_of_date", _TEXT),
    ("campaign_id", "campaign_id", _TEXT),
    ("rank", "rank", _WHOLE),
    ("customer_id", "customer_id", _TEXT),
    ("national_id", "national_id", _TEXT),
    ("loan_id", "loan_id", _TEXT),
    ("contact_value", "contact_value", _TEXT),
    ("segment_code", "segment", _TEXT),
    ("step_code", "step", _TEXT),
    ("template", "template_id", _TEXT),
    ("approved_name", "approved_name", _TEXT),
    ("language_code", "language", _TEXT),
    ("full_name", "full_name", _TEXT),
    ("amount", "amount", _TEXT),
    ("past_due_days", "past_due_days", _WHOLE),
    ("window_start_local", "window_start_local", _TEXT),
    ("window_end_local", "window_end_local", _TEXT),
    ("suggested_hour_local", "suggested_hour_local", _TEXT),
    ("subject", "subject", _TEXT),
    ("message", "message", _TEXT),
    ("message_segments", "message_segments", _WHOLE),
    ("cost_amount", "cost", _MONEY),
)
_HELD_BACK = (
    ("day", "as_of_date", _TEXT),
    ("campaign_id", "campaign_id", _TEXT),
    ("customer_id", "customer_id", _TEXT),
    ("loan_id", "loan_id", _TEXT),
    ("segment_code", "segment", _TEXT),
    ("step_code", "step", _TEXT),
    ("suppressed_by", "suppressed_by", _TEXT),
    ("suppressed_source", "suppressed_source", _TEXT),
    ("blocked_by", "blocked_by", _TEXT),
    ("sources", "sources", _TEXT),
    ("earliest_permitted", "earliest_permitted", _TEXT),
)


def write_campaigns(
    plan: CampaignPlan,
    rows: pd.DataFrame,
    details: pd.DataFrame,
    folder: Path,
    settings: ListSettings,
    data: CampaignData,
    as_of: date,
) -> list[Path]:
    """Write every running campaign under ``campaigns/``: what is sent, best first, and what is held back.

    ``<campaign>.csv`` and ``<campaign>.parquet`` have the same rows, and so has ``<campaign>_suppressed``: together as
    many as the plan counts. A file without rows says that nothing is sent, or nothing held back. CSV in UTF-8 with a
    byte-order mark, with headings in the institution's language; Parquet with the names of the columns.

    Args:
        plan: of :func:`puntual.campaigns.plan.plan_campaigns`.
        rows: of :func:`puntual.lists.rows.contact_rows`: contact point, document, amount and suggested hour.
        details: rows of the decision by member and channel.
        folder: the snapshot.
        settings: how lists are written.
        data: campaigns and templates.
        as_of: the contact day.
    """
    sent = _sent(plan, rows, settings, data, as_of)
    held = _held_back(plan, details, settings, as_of)
    written = []
    for campaign in data.running(as_of):
        for frame, columns, ending in ((sent, _SENT, ""), (held, _HELD_BACK, SUPPRESSED)):
            mine = frame[frame["campaign_id"] == campaign.id]
            stem = folder / FOLDER / f"{campaign.id}{ending}"
            table = mine[[name for name, _, _ in columns]].astype(object)
            written.append(
                write_csv(
                    stem.with_suffix(".csv"),
                    [word("headings", heading, settings.language) for _, heading, _ in columns],
                    table.itertuples(index=False, name=None),
                    separator=settings.separator,
                    decimal=settings.decimal,
                )
            )
            written.append(_write_parquet(stem.with_suffix(".parquet"), mine, columns))
    return written


def files_of_campaign(campaign: Campaign) -> dict[str, str]:
    """The files of a campaign within the snapshot."""
    return {"sent": f"{FOLDER}/{campaign.id}.csv", "suppressed": f"{FOLDER}/{campaign.id}{SUPPRESSED}.csv"}


def going_out(rows: pd.DataFrame, plan: CampaignPlan) -> pd.DataFrame:
    """Rows of the lists without the messages that their campaign holds back; the others name the file they are in.

    Whoever dials or sends from a list must not find in it what was not to be sent: that is in the campaign's file of
    those held back, and in the decision.
    """
    sent = plan.members.loc[plan.members["is_sent"].to_numpy(dtype=bool), ["customer_id", "campaign_id"]]
    campaign = rows["customer_id"].map(dict(zip(sent["customer_id"], sent["campaign_id"], strict=True)))
    is_message = rows["file"].astype(str).str.startswith(f"{FOLDER}/")
    named = (f"{FOLDER}/" + campaign.astype(object) + ".csv").astype(object)
    file = rows["file"].astype(object).where(~is_message, named)
    return rows.assign(file=file)[file.notna().to_numpy(dtype=bool)].reset_index(drop=True)


def write_previews(
    folder: Path, plan: CampaignPlan, members: pd.DataFrame, data: CampaignData, manner: Manner, as_of: date
) -> int:
    """Write how each text of a running campaign looks, one row per campaign, step and language; returns their number.

    ``is_example``: the figures are made up, since the campaign sends nothing in that step today. Otherwise they are
    those of its first member, whose name is masked: the file holds nobody's name, document or contact point.
    """
    sent = plan.members[plan.members["is_sent"].to_numpy(dtype=bool)]
    people = members.set_index("customer_id")
    records: list[dict[str, Any]] = []
    for campaign in data.running(as_of):
        for step, name in campaign.templates.items():
            for language in ("es", "en"):
                template = data.templates.choose(name, (language,), as_of)
                if template is None:
                    continue
                mine = sent[
                    (sent["campaign_id"] == campaign.id)
                    & (sent["step_code"] == step)
                    & (sent["template_id"] == template.id)
                ]
                values: Mapping[str, str | None] = examples(language) | {"institution": manner.institution}
                if len(mine):
                    member = dict(people.loc[mine["customer_id"].iloc[0]])
                    member |= {"full_name": _masked(member["full_name"]), "loan_id": "********"}
                    real = values_of(member, language, manner, as_of)
                    values = {key: real[key] if real[key] is not None else values[key] for key in values}
                message = template.render(values)
                size = sms_size(message)
                records.append(
                    {
                        "campaign_id": campaign.id, "step_code": step, "language_code": language,
                        "template_id": template.id, "template_version": template.version,
                        "subject": template.render_subject(values), "message": message, "is_example": not len(mine),
                        "category": template.category, "approved_name": template.approved_name,
                        "encoding": size.encoding if campaign.channel == "sms" else None,
                        "units": size.units if campaign.channel == "sms" else None,
                        "segments": size.segments if campaign.channel == "sms" else None,
                    }
                )  # fmt: skip
    kinds = {"template_version": _WHOLE, "units": _WHOLE, "segments": _WHOLE, "is_example": pa.bool_()}
    names = ("campaign_id", "step_code", "language_code", "template_id", "template_version", "subject", "message",
             "is_example", "category", "approved_name", "encoding", "units", "segments")  # fmt: skip
    schema = pa.schema([(name, kinds.get(name, _TEXT)) for name in names])
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records, schema=schema), folder / PREVIEWS, compression="zstd")
    return len(records)


def _masked(name: Any) -> str:
    """The first letter of each word: ``M**** Q******``."""
    return " ".join(part[:1] + "*" * (len(part) - 1) for part in str(name or "").split())


def _sent(
    plan: CampaignPlan, rows: pd.DataFrame, settings: ListSettings, data: CampaignData, as_of: date
) -> pd.DataFrame:
    mine = plan.members[plan.members["is_sent"].to_numpy(dtype=bool)]
    columns = ["customer_id", "rank", "national_id", "contact_value", "full_name", "past_due_days",
               "suggested_hour_local", "timezone"]  # fmt: skip
    # a member with two contacts of the day has two lines, of which a campaign sends the message
    messages = rows.loc[~rows["channel_code"].isin(COLLECTOR_CHANNELS), columns]
    frame = mine.merge(messages, on="customer_id", how="left").merge(plan.messages, on="customer_id", how="left")
    templates = data.templates.by_key
    keys = zip(frame["template_id"], frame["language_code"], frame["template_version"], strict=True)
    found = [templates[name, language, int(version)] for name, language, version in keys]
    zone = frame["timezone"].where(frame["timezone"].notna(), settings.timezone)
    start, end = (_local(frame[name], zone) for name in ("window_start", "window_end"))
    hour = frame["suggested_hour_local"].astype(object)
    inside = hour.notna() & (hour >= start) & (hour < end)
    frame = frame.assign(
        day=as_of.isoformat(),
        template=[f"{one.id}_{one.language}_v{one.version}" for one in found],
        approved_name=pd.Series([one.approved_name for one in found], dtype=object),
        window_start_local=start,
        window_end_local=end,
        suggested_hour_local=hour.where(inside, None),
    )
    return frame.sort_values(["campaign_id", "rank", "customer_id"]).reset_index(drop=True)


def _local(moments: pd.Series, zone: pd.Series) -> pd.Series:
    result = pd.Series(None, index=moments.index, dtype=object)
    for name, group in moments.groupby(zone, sort=True):
        local = group.dt.tz_localize("UTC").dt.tz_convert(str(name))
        result.loc[group.index] = local.dt.strftime("%H:%M").astype(object)
    return result


def _held_back(plan: CampaignPlan, details: pd.DataFrame, settings: ListSettings, as_of: date) -> pd.DataFrame:
    mine = plan.members[~plan.members["is_sent"].to_numpy(dtype=bool)]
    frame = mine.merge(
        details[["customer_id", "channel_code", "is_allowed", "earliest_permitted_at", "is_never"]],
        on=["customer_id", "channel_code"],
        how="left",
    )
    by_rule = frame["is_allowed"].eq(False).to_numpy(dtype=bool)  # only the rules know from when on
    return frame.assign(
        day=as_of.isoformat(),
        earliest_permitted=_earliest(frame, settings).where(by_rule, None),
        blocked_by=frame["blocked_by"].map(_readable),
        sources=frame["sources"].map(_readable),
    ).sort_values(["campaign_id", "customer_id"])


def _readable(listed: str) -> str:
    """A JSON list as people read it."""
    return ", ".join(json.loads(listed))


def _earliest(frame: pd.DataFrame, settings: ListSettings) -> pd.Series:
    moments = pd.to_datetime(frame["earliest_permitted_at"])
    local = moments.dt.tz_localize("UTC").dt.tz_convert(settings.timezone)
    written = local.dt.strftime("%Y-%m-%d %H:%M").astype(object)
    is_never = frame["is_never"].eq(True).to_numpy(dtype=bool)
    return written.where(~is_never, word("words", "never", settings.language))


def _write_parquet(path: Path, frame: pd.DataFrame, columns: tuple[tuple[str, str, pa.DataType], ...]) -> Path:
    schema = pa.schema([(name, kind) for name, _, kind in columns])
    arrays = [
        pa.array(frame[name].astype("Int64") if kind == _WHOLE else frame[name], type=kind, from_pandas=True)
        for name, _, kind in columns
    ]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), keep_private(path), compression="zstd")
    return path
