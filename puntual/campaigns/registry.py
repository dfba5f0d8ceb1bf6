"""Campaigns as data: segments, channel, templates by step, hours and priority; held against the other files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from puntual.campaigns.escalation import Escalation, load_escalation
from puntual.campaigns.standing import Standing
from puntual.campaigns.templates import Template, Templates, examples, load_templates
from puntual.segments.data import CODE, CampaignDataError, digest_of, files_of, read_data
from puntual.segments.registry import Segments, SegmentSet, load_segments
from puntual.strict import Strict, Words

FILE = "campaigns.yaml"
SUPPRESSED = "_suppressed"

MessageChannel = Literal["sms", "whatsapp", "email", "ivr"]
PersonChannel = Literal["call", "visit"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MESSAGE_CHANNELS: tuple[str, ...] = ("sms", "whatsapp", "email", "ivr")
_WINDOW = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)$")


class Campaign(Strict):
    """A campaign.

    ``window``: hours of the member's day, start included, end excluded, inside those of the contact rules; empty keeps
    the rules' own. ``templates``: by step; a member of another step is held back. ``start`` and ``end``: first and last
    day; empty is always. ``daily_limit``: so many best contacts a day. Smaller ``priority`` comes first.
    """

    id: str = Field(pattern=CODE)
    name: Words
    channel: MessageChannel
    segments: Literal["all"] | tuple[str, ...]
    templates: dict[str, str] = Field(min_length=1)
    priority: int = Field(ge=1)
    window: str | None = None
    weekdays: tuple[Weekday, ...] = Field(default=WEEKDAYS, min_length=1)
    start: date | None = None
    end: date | None = None
    daily_limit: int | None = Field(default=None, ge=1)
    enabled: bool = True

    @field_validator("window")
    @classmethod
    def _hours(cls, value: str | None) -> str | None:
        if value is not None:
            match = _WINDOW.match(value)
            if not match or value[:5] >= value[6:] or value[6:] > "24:00":
                raise ValueError(f"{value!r} is no span of hours within a day, such as '08:00-18:00'")
        return value

    @model_validator(mode="after")
    def _sound(self) -> Campaign:
        if self.id.endswith(SUPPRESSED):
            raise ValueError(f"the id may not end with {SUPPRESSED}: that is the file of those held back")
        if self.segments != "all" and not self.segments:
            raise ValueError("segments is empty; write all, or name some")
        if self.start and self.end and self.end < self.start:
            raise ValueError("end lies before start")
        return self

    @property
    def minutes(self) -> tuple[int, int] | None:
        """Minutes since midnight at which the window begins and ends."""
        if self.window is None:
            return None
        first, last = self.window.split("-")
        return int(first[:2]) * 60 + int(first[3:]), int(last[:2]) * 60 + int(last[3:])

    def runs(self, day: date) -> bool:
        """Whether it runs on ``day``; both ends included."""
        return (
            self.enabled
            and WEEKDAYS[day.weekday()] in self.weekdays
            and (self.start is None or self.start <= day)
            and (self.end is None or day <= self.end)
        )


class Exclusion(Strict):
    """Messages of these channels that are held back for members of these segments."""

    id: str = Field(pattern=CODE)
    segments: tuple[str, ...] = Field(min_length=1)
    channels: tuple[MessageChannel, ...] = Field(min_length=1)
    note: Words
    sources: tuple[str, ...] = ()


class CampaignFile(Strict):
    """A file of campaigns, exclusions, and the opening lines of calls and visits by step."""

    id: Literal["CAMPAIGNS"]
    version: int = Field(ge=1)
    campaigns: tuple[Campaign, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    scripts: dict[PersonChannel, dict[str, str]] = Field(default_factory=dict)


@dataclass(frozen=True)
class CampaignData:
    """Everything that people write about campaigns, held against each other; campaigns by priority, then id.

    ``standing``: which templates may be sent; None: nobody keeps account of them.
    """

    segments: Segments
    templates: Templates
    escalation: Escalation
    campaigns: tuple[Campaign, ...]
    exclusions: tuple[Exclusion, ...]
    scripts: Mapping[str, Mapping[str, str]]
    version: int
    standing: Standing | None = None

    def running(self, day: date) -> tuple[Campaign, ...]:
        """The campaigns of ``day``, by priority."""
        return tuple(one for one in self.campaigns if one.runs(day))

    def dump(self) -> str:
        """All of it as JSON, for the day's own record: later changes of the files do not change that day."""
        segments = {
            "sets": [one.model_dump(mode="json") for one in self.segments.sets],
            "conditions": [[*key, condition] for key, condition in self.segments.conditions.items()],
            "digests": dict(self.segments.digests),
        }
        content = {
            "segments": segments,
            "templates": [one.model_dump(mode="json") for one in self.templates.by_key.values()],
            "templates_digest": self.templates.digest,
            "escalation": self.escalation.model_dump(mode="json"),
            "campaigns": [one.model_dump(mode="json") for one in self.campaigns],
            "exclusions": [one.model_dump(mode="json") for one in self.exclusions],
            "scripts": self.scripts,
            "version": self.version,
            "standing": self.standing.dump() if self.standing else None,
        }
        return json.dumps(content, ensure_ascii=False, sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> CampaignData:
        """What :meth:`dump` wrote."""
        content = json.loads(text)
        segments, templates = content["segments"], [Template.model_validate(one) for one in content["templates"]]
        return cls(
            segments=Segments(
                tuple(SegmentSet.model_validate(one) for one in segments["sets"]),
                {(set_id, code): condition for set_id, code, condition in segments["conditions"]},
                segments["digests"],
            ),
            templates=Templates(
                {(one.id, one.language, one.version): one for one in templates}, content["templates_digest"]
            ),
            escalation=Escalation.model_validate(content["escalation"]),
            campaigns=tuple(Campaign.model_validate(one) for one in content["campaigns"]),
            exclusions=tuple(Exclusion.model_validate(one) for one in content["exclusions"]),
            scripts=content["scripts"],
            version=content["version"],
            standing=Standing.parse(content.get("standing")),
        )

    def templates_in_use(self, day: date) -> tuple[Template, ...]:
        """Every version, in every language, of the templates of the campaigns of ``day``."""
        used = {name for one in self.running(day) for name in one.templates.values()}
        return tuple(one for (name, _, _), one in sorted(self.templates.by_key.items()) if name in used)

    def most_segments(self, day: date) -> int:
        """The most segments that a text message of the campaigns of ``day`` may be billed as; 1 without any."""
        in_force = [
            one for one in self.templates_in_use(day) if one.effective_from is None or one.effective_from <= day
        ]
        return max((one.max_segments or 1 for one in in_force if one.channel == "sms"), default=1)

    def digests(self) -> dict[str, str]:
        """SHA-256 of what each file says, with its version in the name: for the manifest."""
        own = [one.model_dump() for one in (*self.campaigns, *self.exclusions)]
        return {
            **{f"SEGMENTS/{one.id}/v{one.version}": self.segments.digests[one.id] for one in self.segments.sets},
            f"ESCALATION/v{self.escalation.version}": self.escalation.digest,
            "TEMPLATES": self.templates.digest,
            f"CAMPAIGNS/v{self.version}": digest_of([own, self.scripts]),
        }


def load_campaigns(
    shipped_dir: Path,
    institution_dir: Path | None,
    *,
    country: str,
    institution: str,
    channels: Iterable[str],
) -> CampaignData:
    """Segments, templates, escalation and campaigns of an institution, each held against the others.

    Args:
        shipped_dir: the project's files.
        institution_dir: the institution's own; may be None or absent.
        country: whose forbidden words count.
        institution: its name, with which messages must fit.
        channels: channels that the institution uses; the others need no campaign.

    Raises:
        CampaignDataError: a file is not valid, or names a segment, template or step that is not there; says where.
    """
    segments = load_segments(shipped_dir, institution_dir)
    templates = load_templates(shipped_dir, institution_dir, country)
    escalation = load_escalation(shipped_dir, institution_dir)
    found: dict[str, Campaign] = {}
    exclusions: dict[str, Exclusion] = {}
    scripts: dict[str, dict[str, str]] = {}
    origin: dict[str, Path] = {}
    version = 1
    for file in files_of(shipped_dir, institution_dir, FILE):
        content = read_data(file, CampaignFile)
        version = content.version
        for kind, entries in (("campaigns", content.campaigns), ("exclusions", content.exclusions)):
            ids = [one.id for one in entries]
            twice = sorted({one for one in ids if ids.count(one) > 1})
            if twice:
                raise CampaignDataError(f"{file}: {kind}: {', '.join(twice)} stands twice")
            origin |= {f"{kind}.{one}": file for one in ids}
        found |= {one.id: one for one in content.campaigns}
        exclusions |= {one.id: one for one in content.exclusions}
        scripts |= {channel: dict(steps) for channel, steps in content.scripts.items()}
        origin |= {f"scripts.{channel}": file for channel in content.scripts}
    data = CampaignData(
        segments=segments,
        templates=templates,
        escalation=escalation,
        campaigns=tuple(sorted(found.values(), key=lambda one: (one.priority, one.id))),
        exclusions=tuple(exclusions.values()),
        scripts=scripts,
        version=version,
    )
    problems = [
        f"{origin[key.split(':')[0]]}: {key.replace(':', '.')}: {text}"
        for key, text in _problems(data, institution, set(channels))
    ]
    if problems:
        raise CampaignDataError("\n".join(problems))
    return data


def _problems(data: CampaignData, institution: str, channels: set[str]) -> Iterable[tuple[str, str]]:
    codes = data.segments.codes()
    steps = {step.code: step for step in data.escalation.steps}
    by_id = data.templates.ids()
    for one in data.campaigns:
        key = f"campaigns.{one.id}"
        yield from _segments(f"{key}:segments", () if one.segments == "all" else one.segments, codes)
        yield from _templates(f"{key}:templates", one.templates, one.channel, steps, by_id)
    priorities: dict[int, str] = {}
    for one in data.campaigns:
        other = priorities.setdefault(one.priority, one.id)
        if other != one.id:
            yield f"campaigns.{one.id}:priority", f"{one.priority} is that of {other} too; every campaign has its own"
    for rule in data.exclusions:
        yield from _segments(f"exclusions.{rule.id}:segments", rule.segments, codes)
    for channel, texts in data.scripts.items():
        yield from _templates(f"scripts.{channel}", texts, "call", steps, by_id)
        absent = [step for step in steps if step not in texts]
        if absent:
            yield f"scripts.{channel}", f"no opening line for the step {', '.join(absent)}"
    yield from _lost_messages(data, channels, list(steps))
    yield from _too_long(data, institution)


def _segments(key: str, names: Iterable[str], codes: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for name in names:
        if name not in codes:
            yield key, f"{name!r} is no segment; there are {', '.join(codes)}"


def _templates(
    key: str, texts: Mapping[str, str], channel: str, steps: Mapping[str, object], by_id: Mapping
) -> Iterable[tuple[str, str]]:
    for step, name in texts.items():
        template = by_id.get(name)
        if step not in steps:
            yield key, f"{step!r} is no step of the escalation; there are {', '.join(steps)}"
        elif template is None:
            of_channel = [code for code, one in by_id.items() if one.channel == channel]
            yield key, f"{name!r} is no template; of {channel} there are {', '.join(sorted(of_channel))}"
        elif template.channel != channel:
            yield key, f"{name} is a template of {template.channel}, not of {channel}"
        elif template.tone != step:
            yield key, f"{name} speaks in the tone {template.tone}, not in that of the step {step}"


def _lost_messages(data: CampaignData, channels: set[str], steps: list[str]) -> Iterable[tuple[str, str]]:
    anchor = f"campaigns.{data.campaigns[0].id}" if data.campaigns else "campaigns"
    for channel in MESSAGE_CHANNELS:
        if channel not in channels:
            continue
        whole = [
            one
            for one in data.campaigns
            if one.enabled and one.channel == channel and one.segments == "all" and one.start is None
            and one.end is None and one.weekdays == WEEKDAYS and one.daily_limit is None
        ]  # fmt: skip
        if not any(set(steps) <= set(one.templates) for one in whole):
            yield (
                anchor,
                (
                    f"no campaign takes every member whom {channel} is chosen for: add one of channel {channel} with "
                    f"segments: all, every day, without a limit, with a template for each of {', '.join(steps)}"
                ),
            )
    for channel in ("call", "visit"):
        if channel in channels and channel not in data.scripts:
            yield anchor, f"scripts.{channel} is missing: opening lines by step"


def _too_long(data: CampaignData, institution: str) -> Iterable[tuple[str, str]]:
    """An SMS that is too long for everybody because of the institution's own name."""
    used = {name: one.id for one in data.campaigns if one.enabled for name in one.templates.values()}
    for (name, language, version), template in data.templates.by_key.items():
        if name not in used or template.max_segments is None:
            continue
        size = template.size(template.render({**examples(language), "institution": institution}))
        if size.segments > template.max_segments:
            yield (
                f"campaigns.{used[name]}:templates",
                (
                    f"{name} ({language}, version {version}) has {size.segments} segments with the name "
                    f"{institution!r} and max_segments {template.max_segments}; shorten the text or raise max_segments"
                ),
            )
