"""``puntual.yaml`` as frozen settings, and the only reader of environment variables.

An unknown or wrong key is an error that names the file, the line and the key: a misspelt cap that is silently ignored
is a list that breaks a rule.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from puntual.errors import RuleError, UsageError
from puntual.hour_bands import LEAST_MINUTES, in_order, minutes_of
from puntual.paths import Home
from puntual.strict import Strict

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MOST = 10**9
"""The most of a capacity, a cost or a budget: beyond it a figure is a slip of the hand, and sums would overflow."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Money = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Model = TypeVar("Model", bound=BaseModel)


class Institution(Strict):
    """Who this is, and the calendar, money and language that it lives in."""

    name: str = Field(min_length=1)
    country: str = Field(pattern=r"^[A-Z]{2}$")
    timezone: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    language: Literal["es", "en"] = "es"

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is not a time zone; for example America/Guayaquil") from error
        return value


class WarehouseSettings(Strict):
    """Where the working tables live: ``duckdb:///path`` (relative to the home) or ``postgresql://...``."""

    url: str = "duckdb:///warehouse/puntual.duckdb"

    @field_validator("url")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if not value.startswith(("duckdb:///", "postgresql://")):
            raise ValueError("must start with duckdb:/// or postgresql://")
        return value


class LandingSettings(Strict):
    """Where the institution puts its files, and how many bad rows a load may bring before it is stopped."""

    path: str = "landing"
    max_rejected_share: Share = 0.01


def _known_channel(name: str) -> str:
    known = {"call", "ivr", "whatsapp", "sms", "email", "visit"}
    if name not in known:
        raise ValueError(f"{name!r} is not a channel that can be chosen; known: {', '.join(sorted(known))}")
    return name


ChannelName = Annotated[str, AfterValidator(_known_channel)]


class ChannelSettings(Strict):
    """Cost of one contact in the institution's currency, and what may be made in a day (None: no limit of its own).

    ``daily_budget``: what the contacts of a day may cost, in money. It is a number of contacts, since all of a channel
    are taken to cost alike (a text message billed by segment: as the longest); the smaller of the two limits holds.
    Calls and visits are bounded by the people who make them too.

    ``hour_bands``: contacts that can be made in each band of hours of the institution's clock ("08:00-10:00": 120);
    they may not overlap nor be shorter than a contact's least hours, and the channel is used within them only. Empty:
    no bands.
    """

    cost: Money
    daily_capacity: Count | None = None
    daily_budget: Money | None = None
    hour_bands: dict[str, Count] = Field(default_factory=dict)

    @field_validator("hour_bands")
    @classmethod
    def _apart(cls, value: dict[str, int]) -> dict[str, int]:
        try:
            ordered = in_order(value)
        except RuleError as error:
            raise ValueError(str(error)) from error
        for band, _ in ordered:
            first, last = minutes_of(band)
            if last - first < LEAST_MINUTES:
                raise ValueError(
                    f"the band {band} has {last - first} minutes; a contact is given {LEAST_MINUTES} at least, so "
                    "nobody could have it; make it longer or take it away"
                )
        return dict(ordered)


class TeamSettings(Strict):
    """A team of collectors, named as ``collectors.team`` names it.

    ``daily_capacity``: calls and visits that the team makes in a day at most, whatever its people could; None: what
    they can. Whose they are is for the plan to choose.
    """

    daily_capacity: Count | None = None


class DecisionSettings(Strict):
    """How today's contacts are chosen.

    ``reading``: which of two readings of the contact rules holds where sources differ; ``readings``: another one for a
    single question or policy, by its id (``EC-BASE/one_a_day``, ``EC-BASE``).
    ``exploration_max_cost``: what the drawn contacts of a day may cost in expectation; empty is no limit.
    ``exploration_max_cost_share``: the same as a share of what the day's plan would cost if nobody were explored; empty
    is no limit. The smaller of the two holds. ``provision_weight``: part of the provision avoided, when a contact keeps
    a loan from a worse rating category, that counts as value; 0 leaves it out. It needs a rating table of the
    institution's country (``kpis.rating_table``). ``collection_fee_weight``: part of the regulated collection fee that
    counts as value of a contact that reaches the member; income for the institution and a burden for the member.
    ``daily_budget``: what all contacts of a day may cost together. ``stay_amount``, ``stay_share``: an action of the
    last list that was not carried out is left only for a gain above this amount, or this share of what it is worth,
    whichever is more; both 0: the list is made anew every day. ``hour_reach_weight``: how much of a contact's value
    follows how well people are reached in its hours when a band is chosen (``channels.<channel>.hour_bands``); 0: all
    hours are alike. ``owner_stay_gain``: a collector keeps an undone contact of the last list unless another having it
    is a gain above this, in parts of a day's work: what the collector has above an even load, and a fifth where only
    another is of the member's zone. ``actions_per_person``: contacts of a member on a day; 2 lets some have a second
    one through another channel, where the rules allow it after the first and capacity is left. ``second_action_share``:
    part of its benefit that a second contact is taken to have, for two contacts do not add up. ``second_after``: the
    rules judge it as if the first had ``reached`` the member, or as an attempt (``attempted``): then only a person
    makes it, who must see first whether the first was answered.
    """

    response_window_days: int = Field(default=7, ge=1, le=31)
    exploration_share: Share = 0.05
    exploration_max_cost: Money | None = None
    exploration_max_cost_share: Money | None = 0.1
    reading: Literal["strict_default", "alternative_reading"] = "strict_default"
    readings: dict[str, Literal["strict_default", "alternative_reading"]] = Field(default_factory=dict)
    seed: int = 0
    provision_weight: Share = 0.25
    collection_fee_weight: Share = 0.0
    daily_budget: Money | None = None
    stay_amount: Money = 0.1
    stay_share: Share = 0.0
    hour_reach_weight: Share = 0.5
    owner_stay_gain: Share = 0.1
    actions_per_person: int = Field(default=1, ge=1, le=2)
    second_action_share: Share = 0.3
    second_after: Literal["reached", "attempted"] = "reached"


class DefaultRiskSettings(Strict):
    """What default means, and when a model counts as old."""

    past_due_days: int = Field(default=90, ge=1)
    horizon_days: int = Field(default=182, ge=1)
    early_past_due_days: int = Field(default=30, ge=1, validate_default=True)
    early_horizon_days: int = Field(default=91, ge=1)
    retrain_after_days: int = Field(default=30, ge=1)
    training_rows: int = Field(default=400_000, ge=1_000)

    @field_validator("early_past_due_days")
    @classmethod
    def _earlier_than_default(cls, value: int, info: ValidationInfo) -> int:
        past_due_days = info.data.get("past_due_days")  # absent when it is wrong itself
        if past_due_days is not None and value >= past_due_days:
            raise ValueError(f"{value} must be less than past_due_days, which is {past_due_days}")
        return value


class WillingnessSettings(Strict):
    """From how many past weeks each member's willingness to pay is followed."""

    weeks: int = Field(default=104, ge=8, le=520)


class ContactChannelSettings(Strict):
    """How the effect of contacts is learnt, and what it takes to be believed.

    ``promotion``: ``certain`` wants the lower bound of the plan's value on later weeks above the institution's habit;
    ``likely`` its estimate alone, for a small book whose intervals will always be wide. ``least_effective_sample``: how
    many observed contacts those of the plan must be worth for either; with fewer the log cannot tell.
    """

    promotion: Literal["certain", "likely"] = "certain"
    least_effective_sample: float = Field(default=100, ge=30)
    retrain_after_days: int = Field(default=30, ge=1)
    training_weeks: int = Field(default=78, ge=8)
    training_rows: int = Field(default=1_500_000, ge=1_000)


class ExpectedRecoverySettings(Strict):
    """Over how many days the expected recovery of a member is told, and how sure its interval is."""

    horizon_days: int = Field(default=30, ge=7, le=182)
    confidence: float = Field(default=0.9, ge=0.5, lt=1)


class ArrearsSettings(Strict):
    """How payments meet the schedule, and of which past dates the loans are kept.

    ``due_day_is_past_due``: whether the due date itself is past-due day 1 (maturity up to the date) or the day after it
    is (maturity before the date).
    """

    tolerance: Decimal = Field(default=Decimal("0.01"), ge=0)
    allocation_order: tuple[str, str, str] = ("fees", "interest", "principal")
    promise_grace_days: int = Field(default=2, ge=0)
    due_day_is_past_due: bool = False
    history_months: int = Field(default=24, ge=1)
    history_weeks: int = Field(default=13, ge=0)
    history_days: int = Field(default=31, ge=0)

    @field_validator("allocation_order")
    @classmethod
    def _each_component_once(cls, value: tuple[str, str, str]) -> tuple[str, str, str]:
        if sorted(value) != ["fees", "interest", "principal"]:
            raise ValueError("must name fees, interest and principal once each")
        return value


class KpiSettings(Strict):
    """Choices that the KPI dictionary leaves open; each reading is tested.

    ``rating_table`` names a table of ``dbt_project/seeds/rating_tables.csv``: the institution must confirm it
    against the regulation in force. ``reclassification``: after how many past-due days a loan's balance stops
    accruing. ``writeoff_average``: the portfolio by which write-offs are divided. ``costs``: whether an attempt
    without a recorded cost has that of its channel in ``dbt_project/seeds/channel_costs.csv``, in the institution's
    currency, or none that is known. ``prepayments``: whether money
    received before a period began counts as collected of what falls due in it. ``recovery_horizon_days``: for how
    long the arrears of a month's opening are followed. ``promise_tolerance_share``: the share of a promise that may
    be missing, wherever a promise counts as kept. Receipts of a message are waited for ``message_receipt_days``; an
    answer within ``message_response_hours`` and a request to stop within ``message_opt_out_days`` of its delivery are
    of that message. Working hours are those of the clock that counts the time to the first contact.
    """

    rating_table: str = Field(default="EC-P1", pattern=r"^[A-Z]{2}-[A-Z0-9-]+$")
    reclassification: Literal["over_60_days", "any_day"] = "over_60_days"
    cure_horizon_days: int = Field(default=30, ge=1)
    cure_stay_days: int = Field(default=30, ge=0)
    redefault_days: int = Field(default=90, ge=1)
    first_payment_days: int = Field(default=30, ge=1)
    writeoff_average: Literal["opening_closing", "opening"] = "opening_closing"
    costs: Literal["recorded", "with_defaults"] = "with_defaults"
    prepayments: Literal["excluded", "included"] = "excluded"
    recovery_horizon_days: int = Field(default=30, ge=1)
    promise_tolerance_share: Share = 0.0
    message_receipt_days: int = Field(default=30, ge=1, le=90)
    message_response_hours: int = Field(default=72, ge=1)
    message_opt_out_days: int = Field(default=7, ge=1)
    working_day_start_hour: int = Field(default=8, ge=0, le=23)
    working_day_end_hour: int = Field(default=18, ge=1, le=24, validate_default=True)

    @field_validator("working_day_end_hour")
    @classmethod
    def _ends_after_it_starts(cls, value: int, info: ValidationInfo) -> int:
        start = info.data.get("working_day_start_hour")  # absent when it is wrong itself
        if start is not None and value <= start:
            raise ValueError(f"{value} must be later than working_day_start_hour, which is {start}")
        return value


class ReconciliationSettings(Strict):
    """How far our figures may be from the core's own before nothing is published.

    ``amount_tolerance``: differences up to this are rounding. ``max_unexplained_share``: share of the compared loans
    whose difference no known cause explains. ``max_different_share``: share of them that differ by more than rounding
    or one day, whatever the cause; a file of zeros explains itself. ``max_missing_share``: share of the active loans
    without a balance. ``max_age_days``: older figures of the core are reported and stop nothing.
    ``totals_tolerance``: largest difference of a control total; None only reports.
    """

    amount_tolerance: Decimal = Field(default=Decimal("0.01"), ge=0)
    max_unexplained_share: Share = 0.02
    max_different_share: Share = 0.20
    max_missing_share: Share = 0.05
    max_age_days: int = Field(default=31, ge=0)
    totals_tolerance: Decimal | None = Field(default=None, ge=0)


class RegistrySettings(Strict):
    """Where it is written which model is champion; the models' files always stay in the home.

    ``uri``: empty for an MLflow store in the home (SQLite); else an MLflow server (``http://``, ``https://``) or its
    database (``postgresql://``). ``prefix``: before every model's name there, for institutions that share a server.
    """

    uri: str = ""
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]{0,60}$")

    @field_validator("uri")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://", "postgresql://")):
            raise ValueError(
                "must be empty (a SQLite file in the home) or start with http://, https:// or postgresql://"
            )
        return value


class CampaignSettings(Strict):
    """What a text message costs: ``channels.sms.cost`` for the whole of it, or for each segment that is billed."""

    sms_cost: Literal["per_message", "per_segment"] = "per_message"


def _minute_of_day(value: Any) -> Any:
    """Minutes after midnight of ``HH:MM``; YAML reads an unquoted 13:00 as 780 itself."""
    if isinstance(value, str):
        hours, _, minutes = value.partition(":")
        if not (hours.isdecimal() and minutes.isdecimal() and int(hours) <= 24 and int(minutes) < 60):
            raise ValueError(f'{value!r} is not a time of day; write it as "08:00"')
        return int(hours) * 60 + int(minutes)
    return value


TimeOfDay = Annotated[int, BeforeValidator(_minute_of_day), Field(ge=0, le=24 * 60)]


class VisitSettings(Strict):
    """How the day's visits become routes.

    ``start``: where a day begins and ends: the collector's ``branch`` (else that of most of the visits), the
    ``collector``'s own coordinates (the branch where there are none), or with the ``first`` visit. Times are the
    institution's; ``lunch_start`` None: no lunch. A leg is the straight line times ``detour_factor``, its first
    ``urban_km`` at ``urban_speed_kmh`` and the rest at ``rural_speed_kmh``; ``distances`` names a table of roads
    (Parquet or CSV in the home: from_id, to_id, metres, seconds) that replaces it where it has the pair.
    ``zone_radius_km``: an address further from the middle of its zone's addresses is not believed.
    ``iterations``: of each search, several of which make a route; the same number gives the same routes on every
    machine.
    """

    start: Literal["branch", "collector", "first"] = "branch"
    returns: bool = True
    day_start: TimeOfDay = 8 * 60
    day_end: TimeOfDay = Field(default=18 * 60, validate_default=True)
    lunch_start: TimeOfDay | None = 13 * 60
    lunch_minutes: int = Field(default=60, ge=0, le=240)
    service_minutes: int = Field(default=20, ge=1, le=480)
    detour_factor: float = Field(default=1.35, ge=1, le=5)
    urban_speed_kmh: float = Field(default=22.0, gt=0, le=120)
    rural_speed_kmh: float = Field(default=45.0, gt=0, le=160)
    urban_km: float = Field(default=6.0, ge=0)
    zone_radius_km: float = Field(default=120.0, gt=0)
    distances: str | None = None
    iterations: int = Field(default=200, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0)

    @field_validator("day_end")
    @classmethod
    def _ends_after_it_starts(cls, value: int, info: ValidationInfo) -> int:
        start = info.data.get("day_start")  # absent when it is wrong itself
        if start is not None and value <= start:
            raise ValueError("must be later than day_start")
        return value


class WorklistSettings(Strict):
    """How the CSV files of the lists are written; None is what spreadsheets of the institution's language expect."""

    csv_separator: Literal[",", ";", "\t"] | None = None
    csv_decimal: Literal[".", ","] | None = Field(default=None, validate_default=True)

    @field_validator("csv_decimal")
    @classmethod
    def _can_be_told_apart(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("csv_separator"):
            raise ValueError(f"{value!r} is csv_separator already; a figure could not be told from two cells")
        return value


class PublishSettings(Strict):
    """How many snapshots stay on disk, the current one included."""

    keep_snapshots: int = Field(default=7, ge=1)


class AuditSettings(Strict):
    """For how many days before the newest published one the inputs of decisions are kept; None: for ever.

    The log itself always stays; a day whose inputs are gone can be explained and verified, but not replayed.
    """

    keep_inputs_days: int | None = Field(default=400, ge=1)


class RuntimeSettings(Strict):
    """What one run may use of the machine."""

    threads: int = Field(default=2, ge=1)
    memory_limit_gb: float = Field(default=8, gt=0)


DEFAULT_CHANNELS: dict[str, ChannelSettings] = {
    "call": ChannelSettings(cost=0.45),
    "ivr": ChannelSettings(cost=0.04, daily_capacity=1000),
    "whatsapp": ChannelSettings(cost=0.06, daily_capacity=5000),
    "sms": ChannelSettings(cost=0.03, daily_capacity=5000),
    "email": ChannelSettings(cost=0.004, daily_capacity=5000),
    "visit": ChannelSettings(cost=4.50),
}


class Settings(Strict):
    """Everything that an institution decides, as one frozen value."""

    institution: Institution
    warehouse: WarehouseSettings = WarehouseSettings()
    landing: LandingSettings = LandingSettings()
    channels: dict[ChannelName, ChannelSettings] = Field(default_factory=lambda: dict(DEFAULT_CHANNELS), min_length=1)
    teams: dict[str, TeamSettings] = Field(default_factory=dict)
    decision: DecisionSettings = DecisionSettings()
    default_risk: DefaultRiskSettings = DefaultRiskSettings()
    contact_channel: ContactChannelSettings = ContactChannelSettings()
    expected_recovery: ExpectedRecoverySettings = ExpectedRecoverySettings()
    willingness: WillingnessSettings = WillingnessSettings()
    arrears: ArrearsSettings = ArrearsSettings()
    kpis: KpiSettings = KpiSettings()
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    registry: RegistrySettings = RegistrySettings()
    campaigns: CampaignSettings = CampaignSettings()
    visits: VisitSettings = VisitSettings()
    worklists: WorklistSettings = WorklistSettings()
    publish: PublishSettings = PublishSettings()
    audit: AuditSettings = AuditSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    def landing_path(self, home: Home) -> Path:
        """The folder of the institution's files, absolute."""
        return home.root / self.landing.path

    @property
    def team_capacity(self) -> dict[str, int] | None:
        """Calls and visits a day by team, of those that have a limit; None: none has."""
        limits = {name: one.daily_capacity for name, one in self.teams.items() if one.daily_capacity is not None}
        return limits or None

    @field_validator("channels")
    @classmethod
    def _no_bands_of_visits(cls, value: dict[str, ChannelSettings]) -> dict[str, ChannelSettings]:
        if "visit" in value and value["visit"].hour_bands:
            raise ValueError(
                "visit.hour_bands: the hours of visits come from their routes (visits.day_start, visits.day_end); "
                "take the bands away"
            )
        return value


def _line_of(node: yaml.Node | None, location: tuple[Any, ...]) -> int | None:
    """Line (from 1) of the deepest part of ``location`` that the file has."""
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def read_validated(file: Path, model: type[Model], expected: str) -> tuple[Model, yaml.Node | None]:
    """A YAML file as the validated ``model``, and its tree, which knows the lines; ``expected`` is what it should hold.

    Raises:
        UsageError: the file is not YAML in UTF-8, or has an unknown, wrong or repeated key; names the line.
    """
    text = _utf8_text(file)
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-02-31
        raise UsageError(f"{file} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file} must hold {expected}; it holds {type(content).__name__}")
    _refuse(file, [(line, key, f"written twice, first on line {first}") for key, first, line in _repeated_keys(tree)])
    try:
        value = model.model_validate(content)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            location = tuple(part for part in problem["loc"] if part != "[key]")  # pydantic's mark for the key itself
            key = ".".join(str(part) for part in location)
            problems.append((_line_of(tree, location), key, _what_is_wrong(problem)))
        _refuse(file, problems, error)
    return value, tree


def load_settings(home: Home) -> Settings:
    """Settings of the institution whose home is ``home``.

    Raises:
        UsageError: the file is absent, is not YAML in UTF-8, or has an unknown, wrong or repeated key; names the line.
    """
    file = home.settings_file
    if not file.exists():
        raise UsageError(f"{file} does not exist. Create it with: puntual init {home.root}")
    settings, tree = read_validated(file, Settings, "settings such as 'institution:'")
    outside = [(_line_of(tree, tuple(key.split("."))), key, what) for key, what in _outside_home(home, settings)]
    _refuse(file, outside)
    return settings


def _utf8_text(file: Path) -> str:
    content = file.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}, line {line}: a letter is not written in UTF-8; save it as UTF-8") from error


def _refuse(file: Path, problems: list[tuple[int | None, str, str]], cause: Exception | None = None) -> None:
    """Raise a UsageError with a line for each problem (line in the file, key, what is wrong), if there is any."""
    if problems:
        rows = [f"{file}, line {line or 1}: {key}: {what}" for line, key, what in problems]
        raise UsageError("\n".join(rows)) from cause


def _repeated_keys(tree: yaml.Node | None) -> Iterator[tuple[str, int, int]]:
    """Keys that a mapping has more than once, of which YAML would silently keep the last: name, first line, line."""
    seen: set[int] = set()  # an alias is the node that it stands for
    waiting: list[tuple[str, yaml.Node | None]] = [("", tree)]
    while waiting:
        name, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(f"{name}{number}.", item) for number, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if key.value in first:
                    yield f"{name}{key.value}", first[key.value], line
                first.setdefault(key.value, line)
                waiting.append((f"{name}{key.value}.", value))


def _what_is_wrong(problem: ErrorDetails) -> str:
    """A problem that pydantic found, without the names of our classes and of its own."""
    match problem["type"]:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "is missing"
        case "model_type" | "dict_type":
            return "must hold keys of its own, written as 'key: value'"
        case "value_error":
            return str(problem["ctx"]["error"])
        case _:
            return problem["msg"]


def _outside_home(home: Home, settings: Settings) -> Iterator[tuple[str, str]]:
    relative = {"landing.path": settings.landing.path}
    if settings.visits.distances:
        relative["visits.distances"] = settings.visits.distances
    if settings.warehouse.url.startswith("duckdb:///"):
        relative["warehouse.url"] = settings.warehouse.url.removeprefix("duckdb:///")
    for key, value in relative.items():
        if not (home.root / value).resolve().is_relative_to(home.root.resolve()):
            yield key, f"{value} lies outside the home; paths are relative to it"


def home_from_environment() -> Path:
    """The home that a page, a notebook or the Dagster UI works on: the variable ``PUNTUAL_HOME``.

    Raises:
        UsageError: the variable is not set.
    """
    value = os.environ.get("PUNTUAL_HOME")
    if not value:
        raise UsageError("PUNTUAL_HOME is not set. Open the pages with: puntual dash HOME")
    return Path(value).resolve()


def database_password() -> str | None:
    """The password of ``warehouse.url``'s login when the address has none: libpq's variable ``PGPASSWORD``."""
    return os.environ.get("PGPASSWORD") or None


def quiet_environment(home: Home | None = None, *, threads: int = 2) -> dict[str, str]:
    """Set and return the variables that libraries read: no telemetry, and threads that wait without spinning.

    Must run before dagster, dbt or lightgbm are imported. ``OMP_WAIT_POLICY``: with another job on the machine,
    spinning OpenMP threads make LightGBM ten times slower.
    """
    variables = {
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(threads),
    }
    if home is not None:
        variables |= {"PUNTUAL_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster)}
    os.environ.update(variables)
    return variables


def set_environment(variables: dict[str, str]) -> None:
    """Set variables that a library reads from the environment and nowhere else (the dbt profile)."""
    os.environ.update(variables)


def current_environment() -> dict[str, str]:
    """A copy of the environment, for a child process."""
    return dict(os.environ)


SETTINGS_TEMPLATE = """\
# {name}: settings of Puntual. Paths are relative to this folder. An unknown key is an error.
institution:
  name: {name_quoted}
  country: {country}                  # contact rules and holidays come from here
  timezone: {timezone}
  currency: {currency}
  language: {language}                     # es or en: lists and reasons

warehouse:
  url: "duckdb:///warehouse/puntual.duckdb"   # or postgresql://user:password@host:5432/database

landing:
  path: landing                    # <table>.parquet, <table>.csv or <table>/... of several files
  max_rejected_share: 0.01         # more bad rows than this in a table stop the run

channels:                          # cost of one contact; calls and visits: by collectors, daily_capacity on top
{channels}
#   What can be made in each band of hours of this clock, beside the other limits; outside them the channel rests:
#   call: {{cost: 0.45, hour_bands: {{"08:00-10:00": 60, "10:00-13:00": 120, "13:00-17:00": 120, "17:00-19:00": 40}}}}
#   What a whole team does in a day at most, by its name in collectors.team:
#   teams: {{"Sierra norte": {{daily_capacity: 80}}}}
decision:
  response_window_days: 7          # the gain of a contact is the extra money within this window
  exploration_share: 0.05          # share of members whose action is drawn, so that the next model can learn
  exploration_max_cost: null       # what the drawn contacts of a day may cost in expectation; null: no limit
  exploration_max_cost_share: 0.1  # the same, as a share of what the day's plan costs; the smaller of the two holds
  provision_weight: 0.25           # part of the provision that a contact avoids which counts as its value; 0: none
  collection_fee_weight: 0.0       # part of the regulated collection fee that counts; a burden for the member
  daily_budget: null               # what all contacts of a day may cost together; null: no limit
  stay_amount: 0.1                 # an undone action of the last list is left only for a gain above this; 0: off
  stay_share: 0.0                  # the same, as a share of what the action is worth; the larger of the two holds
  owner_stay_gain: 0.1             # an undone contact leaves its collector only for a gain above this part of a day
  actions_per_person: 1            # 2: a second contact through another channel, where rules and capacity allow it
  second_action_share: 0.3         # part of its benefit that a second contact is taken to have
  second_after: reached            # rules judge it as if the first reached the member; attempted: as an attempt
  hour_reach_weight: 0.5           # with hour_bands: how much of the value follows the reach of the hours; 0: none
  reading: strict_default          # where sources of a rule differ: strict_default or alternative_reading
  readings: {{}}                     # another one for a question or policy: {{EC-BASE/one_a_day: alternative_reading}}

default_risk:
  past_due_days: 90
  horizon_days: 182
  retrain_after_days: 30           # sooner after an alarm: policies/models/default_risk.yaml, retrain_after_alarm_days

willingness:
  weeks: 104                       # past weeks over which each member's willingness to pay is followed

contact_channel:
  retrain_after_days: 30
  promotion: certain               # certain: surely better than the habit; likely: better by estimate (small books)
  least_effective_sample: 100      # of observed contacts that the plan's must be worth for either

expected_recovery:
  horizon_days: 30                 # what members should pay within so many days, with an interval
  confidence: 0.9                  # how sure that interval is

arrears:
  tolerance: 0.01                  # open amounts up to this count as paid
  allocation_order: [fees, interest, principal]
  promise_grace_days: 2
  due_day_is_past_due: false       # true: the due date itself is past-due day 1
  history_months: 24               # month ends, Sundays and days of which every loan's state is kept
  history_weeks: 13
  history_days: 31

kpis:
  rating_table: EC-P1              # confirm it against the regulation in force; tables: docs/kpis.md
  reclassification: over_60_days   # when a balance stops accruing: over_60_days or any_day

reconciliation:                    # against loan_balances and control_totals, when they are delivered
  amount_tolerance: 0.01
  max_unexplained_share: 0.02      # more loans than this with an unexplained difference stop publication
  max_different_share: 0.20        # likewise, whatever the cause
  max_missing_share: 0.05          # likewise, active loans without a balance
  max_age_days: 31                 # older figures of the core are reported and stop nothing

registry:
  uri: ""                          # empty: HOME/artifacts/models/registry.db; or an MLflow server or its database
  prefix: ""                       # before every model's name, where institutions share a server

campaigns:
  sms_cost: per_message            # per_segment: channels.sms.cost is for each 160 (or 70) characters that are billed

visits:                            # routes of the visits (docs/routes.md)
  start: branch                    # branch, collector (own coordinates) or first (the day begins with a visit)
  day_start: "08:00"
  day_end: "18:00"
  lunch_start: "13:00"             # null: no lunch
  service_minutes: 20              # how long a visit takes
  detour_factor: 1.35              # road kilometres per kilometre of straight line
  urban_speed_kmh: 22              # on the first kilometres of a leg
  rural_speed_kmh: 45              # on the rest
  distances: null                  # a table of roads in this folder: from_id, to_id, metres, seconds

worklists:                         # CSV of lists and campaigns; empty: what spreadsheets of the language expect
  csv_separator:                   # ";", "," or "\t"
  csv_decimal:                     # "," or "."

publish:
  keep_snapshots: 7

audit:
  keep_inputs_days: 400            # a day can be replayed for so long; null: for ever. The log itself always stays

runtime:
  threads: 2
  memory_limit_gb: 8
"""


def settings_text(
    *,
    name: str = "Mi cooperativa",
    country: str = "EC",
    timezone: str = "America/Guayaquil",
    currency: str = "USD",
    language: str = "es",
    channels: dict[str, ChannelSettings] | None = None,
) -> str:
    """A commented ``puntual.yaml`` that :func:`load_settings` accepts."""
    lines = []
    for channel, setting in (channels or DEFAULT_CHANNELS).items():
        capacity = f", daily_capacity: {setting.daily_capacity}" if setting.daily_capacity is not None else ""
        lines.append(f"  {channel}: {{cost: {setting.cost:g}{capacity}}}\n")
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return SETTINGS_TEMPLATE.format(
        name=name.replace("\n", " "),
        name_quoted=quoted,
        country=country,
        timezone=timezone,
        currency=currency,
        language=language,
        channels="".join(lines),
    )


def business_date(text: str) -> date:
    """A date written as YYYY-MM-DD.

    Raises:
        UsageError: anything else.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a date; write it as 2026-06-30") from error
