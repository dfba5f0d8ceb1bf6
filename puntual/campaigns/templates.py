"""Templates as data: texts by channel, tone, language and version, held against what each channel asks of them."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter
from typing import Literal

from pydantic import Field, field_validator, model_validator

from puntual.campaigns.sms import SmsSize, sms_size, without_accents
from puntual.campaigns.variables import VARIABLES
from puntual.segments.data import CODE, CampaignDataError, digest_of, files_of, read_data
from puntual.strict import Strict

FILE = "templates.yaml"
Language = Literal["es", "en"]
LANGUAGES: tuple[str, ...] = ("es", "en")
TemplateChannel = Literal["sms", "whatsapp", "email", "ivr", "call"]
"""``call``: the opening line of a person, on the telephone or at the door."""


class Template(Strict):
    """One text.

    ``sender``: how an SMS says who writes; the text must hold it. ``opt_out``: the line of an e-mail or WhatsApp
    message that says how to receive no more; the text must hold it. ``category`` and ``approved_name``: of WhatsApp.
    ``accents``: ``drop`` writes what GSM-7 lacks by its base letter. ``max_segments``: of an SMS; a message that would
    be longer is held back. ``effective_from``: the version is not used before; empty is always.
    """

    id: str = Field(pattern=CODE)
    version: int = Field(ge=1)
    language: Language
    channel: TemplateChannel
    tone: str = Field(pattern=CODE)
    text: str = Field(min_length=1)
    effective_from: date | None = None
    category: Literal["utility", "marketing", "authentication"] | None = None
    approved_name: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,512}$")
    subject: str | None = Field(default=None, min_length=1)
    opt_out: str | None = Field(default=None, min_length=1)
    sender: str | None = Field(default=None, min_length=1)
    max_segments: int | None = Field(default=None, ge=1, le=10)
    accents: Literal["keep", "drop"] = "keep"

    @field_validator("text", "subject")
    @classmethod
    def _known_variables(cls, value: str | None) -> str | None:
        if value is not None:
            variables(value)
        return value

    @model_validator(mode="after")
    def _what_the_channel_asks(self) -> Template:
        asked = _ASKED.get(self.channel, ())
        for name in ("category", "approved_name", "subject", "opt_out", "sender", "max_segments"):
            given = getattr(self, name) is not None
            if given != (name in asked):
                raise ValueError(
                    f"{name} belongs to templates of {self.channel}: {_WHY[name]}"
                    if name in asked
                    else f"{name} does not belong to templates of {self.channel}"
                )
        for name in ("sender", "opt_out"):
            part = getattr(self, name)
            if part is not None and part not in self.text:
                raise ValueError(f"the text does not hold its {name}, {part!r}")
        if self.accents == "drop" and self.channel != "sms":
            raise ValueError("accents: drop is for text messages only")
        if self.subject is not None and "\n" in self.subject:
            raise ValueError("the subject has a line break")
        if self.max_segments is not None:
            size = self.size(self.render(examples(self.language)))
            if size.segments > self.max_segments:
                raise ValueError(
                    f"with values of ordinary length the message has {size.units} units of {size.encoding}, "
                    f"{size.segments} segments, and max_segments is {self.max_segments}; shorten the text"
                    + (", write accents: drop" if size.encoding == "ucs2" and self.accents == "keep" else "")
                )
        return self

    def render(self, values: Mapping[str, str | None]) -> str:
        """The text with its variables filled; every one of :meth:`needs` must have a value."""
        return self._finished(self.text.format_map(values))

    def render_subject(self, values: Mapping[str, str | None]) -> str | None:
        """The subject with its variables filled, in one line."""
        return None if self.subject is None else " ".join(self.subject.format_map(values).split())

    def needs(self) -> frozenset[str]:
        """Variables of text and subject."""
        return _variables_of(self.text, self.subject)

    def size(self, message: str) -> SmsSize:
        """The size of a rendered message as a text message."""
        return sms_size(message)

    def _finished(self, message: str) -> str:
        return without_accents(message) if self.accents == "drop" else message


_ASKED = {
    "sms": ("sender", "max_segments"),
    "whatsapp": ("category", "approved_name", "opt_out"),
    "email": ("subject", "opt_out"),
}
_WHY = {
    "category": "the platform asks for it",
    "approved_name": "outside an open conversation only an approved template may be sent",
    "subject": "an e-mail without one is taken for spam",
    "opt_out": "the line that says how to receive no more messages",
    "sender": "the sender must be named in the message",
    "max_segments": "how many segments it may be billed as",
}


class ForbiddenWords(Strict):
    """Words that stand in no text of these countries. Accents and capitals do not matter; ``*`` is any ending."""

    id: str = Field(pattern=CODE)
    countries: Literal["all"] | tuple[str, ...]
    sources: tuple[str, ...] = Field(min_length=1)
    words: tuple[str, ...] = Field(min_length=1)

    @field_validator("words")
    @classmethod
    def _plain(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if not re.fullmatch(r"[^\W_]+(?: [^\W_]+)*\*?", word):
                raise ValueError(f"{word!r} is no word, words, or their beginning with * behind")
        return value

    def found_in(self, text: str) -> list[str]:
        """Those of the words that stand in the text."""
        plain = _plain(text)
        return [word for word in self.words if re.search(_pattern(word), plain)]


class TemplateFile(Strict):
    """A file of templates and forbidden words."""

    id: Literal["TEMPLATES"]
    forbidden: tuple[ForbiddenWords, ...] = ()
    templates: tuple[Template, ...] = ()


@dataclass(frozen=True, eq=False)
class Templates:
    """The templates of an institution, by id, language and version."""

    by_key: Mapping[tuple[str, str, int], Template]
    digest: str

    def ids(self) -> dict[str, Template]:
        """Any one template of each id: channel and tone are the same for all of an id."""
        return {name: one for (name, _, _), one in sorted(self.by_key.items(), reverse=True)}

    @lru_cache(maxsize=1024)  # noqa: B019 - asked for every message; there is one of these in a run
    def choose(self, name: str, languages: tuple[str, ...], as_of: date) -> Template | None:
        """The newest version of ``name`` in force on ``as_of``, in the first of ``languages`` that has one."""
        return next(iter(self.in_order(name, languages, as_of)), None)

    @lru_cache(maxsize=1024)  # noqa: B019 - as above
    def in_order(self, name: str, languages: tuple[str, ...], as_of: date) -> tuple[Template, ...]:
        """Every version of ``name`` in force on ``as_of``: by language as in ``languages``, then the newest first."""
        mine = [
            one
            for (code, spoken, _), one in self.by_key.items()
            if code == name and spoken in languages and (one.effective_from is None or one.effective_from <= as_of)
        ]
        return tuple(sorted(mine, key=lambda one: (languages.index(one.language), -one.version)))


def load_templates(shipped_dir: Path, institution_dir: Path | None, country: str) -> Templates:
    """The shipped templates with the institution's own ``templates.yaml`` on top.

    Raises:
        CampaignDataError: a file is not valid, a text has a forbidden word of the country, or templates of one id
            differ in channel or tone; names file and key.
    """
    found: dict[tuple[str, str, int], Template] = {}
    origin: dict[tuple[str, str, int], Path] = {}
    forbidden: dict[str, ForbiddenWords] = {}
    for file in files_of(shipped_dir, institution_dir, FILE):
        content = read_data(file, TemplateFile)
        for words in content.forbidden:
            if words.id in forbidden:
                raise CampaignDataError(
                    f"{file}: forbidden.{words.id}: the id is taken; an institution may add words, not take any away"
                )
            forbidden[words.id] = words
        seen = set()
        for one in content.templates:
            key: tuple[str, str, int] = (one.id, one.language, one.version)
            if key in seen:
                raise CampaignDataError(f"{file}: {_name(key)}: it stands twice")
            seen.add(key)
            found[key], origin[key] = one, file
    kinds: dict[str, tuple[tuple[str, str], tuple[str, str, int]]] = {}
    for key, one in sorted(found.items()):
        kind = (one.channel, one.tone)
        first, where = kinds.setdefault(one.id, (kind, key))
        if kind != first:
            raise CampaignDataError(
                f"{origin[key]}: {_name(key)}: it is {' '.join(kind)}, and {_name(where)} is {' '.join(first)}; "
                "templates of one id share channel and tone"
            )
        for words in forbidden.values():
            if words.countries != "all" and country not in words.countries:
                continue
            hits = words.found_in(f"{one.subject or ''} {one.text}")
            if hits:
                raise CampaignDataError(
                    f"{origin[key]}: {_name(key)}.text: {', '.join(hits)} is forbidden by {words.id} "
                    f"({', '.join(words.sources)}); write it without"
                )
    return Templates(found, digest_of([one.model_dump() for _, one in sorted(found.items())]))


def variables(text: str) -> frozenset[str]:
    """The variables of a text.

    Raises:
        ValueError: one is not known, or a brace stands alone; says which.
    """
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"a brace that opens or closes nothing ({error}); write {{{{ for a brace") from error
    found = set()
    for _, name, specification, conversion in parts:
        if name is None:
            continue
        if specification or conversion or name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1)
            hint = f" Did you mean {{{near[0]}}}?" if near else ""
            raise ValueError(f"unknown variable {{{name}}}.{hint} There are: {', '.join(VARIABLES)}")
        found.add(name)
    return frozenset(found)


@cache
def _variables_of(text: str, subject: str | None) -> frozenset[str]:
    return variables(text) | (variables(subject) if subject else frozenset())


def examples(language: str) -> dict[str, str | None]:
    """A value of ordinary length for every variable."""
    place = LANGUAGES.index(language)
    return {name: one.example[place] for name, one in VARIABLES.items()}


def _name(key: tuple[str, str, int]) -> str:
    return f"templates.{key[0]} ({key[1]}, version {key[2]})"


def _plain(text: str) -> str:
    spread = unicodedata.normalize("NFKD", re.sub(r"\{\w+\}", " ", text).lower())
    return re.sub(r"\s+", " ", "".join(sign for sign in spread if not unicodedata.combining(sign)))


def _pattern(word: str) -> str:
    plain = _plain(word.removesuffix("*"))
    return rf"\b{re.escape(plain)}" + (r"\w*" if word.endswith("*") else r"\b")
