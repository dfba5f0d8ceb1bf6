"""What every model column means: type, source, sign, reason, leakage note and the words that explain it.

The numbers are made in dbt (`dbt_project/models/features`); this module says what a model may use and why. A frame that
does not carry exactly the columns of its table is refused: a missing column is never filled. Gender, age and marital
state are in no table that a model reads, so they cannot become features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from models.conditions import Condition
from models.protected import protected
from puntual.errors import ModelError

FeatureType = Literal["number", "boolean", "category"]
Role = Literal["key", "flag", "feature", "season", "context"]
Source = Literal["table", "willingness"]

KNOWN_AT_AS_OF = "only events with a local date on or before as_of_date"
ENDED_WEEKS = "weeks that ended on or before as_of_date; pay model and filter parameters are those of the training date"
STATIC_TERMS = "fixed in the contract of the loan before as_of_date"


@dataclass(frozen=True)
class Feature:
    """One column of a feature table.

    ``monotone`` is the sign that the prediction must keep when the column grows (0 = free) and ``monotone_reason`` says
    why it is known. ``role``: ``key`` identifies the row, ``flag`` selects it, ``feature`` may be learnt from,
    ``season`` enters as a smooth yearly shift and is never split on (with two years of history a tree would learn dates
    by heart), ``context`` is used for segments and amounts but never learnt from. ``source`` says where it comes from:
    ``table`` is a column that dbt builds, ``willingness`` one that the filter over past weeks gives.
    """

    name: str
    type: FeatureType
    why: str
    role: Role = "feature"
    monotone: int = 0
    monotone_reason: str = ""
    leakage: str = KNOWN_AT_AS_OF
    group: str = ""
    source: Source = "table"


@dataclass(frozen=True)
class ReasonGroup:
    """A group of features that people read as one reason.

    The reason is given only when the group raised the score and one of the conditions in ``evidence`` is true of the
    row (:class:`models.conditions.Condition`): nobody is told of a broken promise that never was. A group without
    evidence speaks of what the model learnt of many (a place, a season, the terms of loans), not of a fact of the row.
    """

    code: str
    es: str
    en: str
    evidence: tuple[str, ...] = ()

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The evidence, read."""
        return tuple(Condition.parse(text) for text in self.evidence)


@dataclass(frozen=True)
class FeatureSpec:
    """The columns of one feature table, in the table's order, then those of the willingness, and what each is for."""

    model: str
    table: str
    columns: tuple[Feature, ...]
    groups: tuple[ReasonGroup, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every column of a frame that a model reads, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def table_names(self) -> tuple[str, ...]:
        """The columns that dbt builds, in the table's order."""
        return tuple(column.name for column in self.columns if column.source == "table")

    @property
    def willingness_names(self) -> tuple[str, ...]:
        """The columns that the filter over past weeks gives, in order."""
        return tuple(column.name for column in self.columns if column.source == "willingness")

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns that a model learns from, in order."""
        return tuple(column for column in self.columns if column.role == "feature")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that a model learns from, in order."""
        return tuple(column.name for column in self.features)

    @property
    def category_names(self) -> tuple[str, ...]:
        """Names of the text columns that a model learns from, in order."""
        return tuple(column.name for column in self.features if column.type == "category")

    @property
    def monotone(self) -> dict[str, int]:
        """Sign by feature, for the features whose sign is known."""
        return {column.name: column.monotone for column in self.features if column.monotone}

    def schema_hash(self) -> str:
        """Digest of names, types, roles and signs: a model is used only with the schema that it was trained on."""
        rows = [[c.name, c.type, c.role, c.monotone] for c in self.columns]
        return hashlib.sha256(json.dumps([self.table, rows]).encode()).hexdigest()

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with the table's columns in the table's order.

        Raises:
            ModelError: a column is missing or not part of the table, or a protected attribute is among them.
        """
        given = set(frame.columns)
        missing = [name for name in self.names if name not in given]
        extra = sorted(given - set(self.names))
        if missing or extra:
            parts = [f"missing {missing}"] if missing else []
            parts += [f"not part of the table {extra}"] if extra else []
            raise ModelError(
                f"{self.model}: the rows are not those of {self.table}: {'; '.join(parts)}. "
                "Rebuild the features for this date with the present dbt project; a missing column is never filled."
            )
        if len(frame.columns) != len(given):
            raise ModelError(f"{self.model}: the rows of {self.table} carry a column twice; rebuild the features.")
        return frame.loc[:, list(self.names)]


def encode(spec: FeatureSpec, frame: pd.DataFrame, categories: dict[str, list[str]]) -> np.ndarray:
    """The feature columns as a float32 matrix in the order of the spec; one row per row of the frame.

    Numbers and booleans as they are (NULL is NaN); a text becomes its place in ``categories``, and a text that is not
    there (or NULL) becomes NaN, which the trees treat as "another one".
    """
    checked = spec.check(frame)
    matrix = np.empty((len(checked), len(spec.features)), dtype=np.float32)
    for place, feature in enumerate(spec.features):
        column = checked[feature.name]
        if feature.type == "category":
            codes = pd.Index(categories[feature.name]).get_indexer(column.astype("object"))
            matrix[:, place] = np.where(codes >= 0, codes, np.nan)
        else:
            matrix[:, place] = number(spec, column)
    return matrix


def number(spec: FeatureSpec, column: pd.Series) -> np.ndarray:
    """A numeric or boolean column as float64 with NaN for NULL; text in it is refused."""
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{spec.model}: column {column.name} of {spec.table} is not a number ({error}). "
            "Cast it in the dbt model; its contract says which type it has."
        ) from error


def learn_categories(spec: FeatureSpec, frame: pd.DataFrame, *, min_rows: int = 50) -> dict[str, list[str]]:
    """Per category column, the texts that at least ``min_rows`` rows carry, sorted; rarer ones are "another one"."""
    found: dict[str, list[str]] = {}
    for name in spec.category_names:
        counts = frame[name].dropna().astype("object").value_counts()
        found[name] = sorted(str(text) for text, rows in counts.items() if rows >= min_rows)
    return found


def check_no_protected(spec: FeatureSpec) -> None:
    """Raise unless no protected attribute is a column of the spec."""
    found = protected(spec.names)
    if found:
        raise ModelError(f"{spec.model}: {found} are protected attributes and may not be features.")


def _key(name: str, type_: FeatureType = "category") -> Feature:
    return Feature(name, type_, "identifies the row", role="key")


def _flag(name: str) -> Feature:
    return Feature(name, "boolean", "selects rows for scoring or training", role="flag")


def _number(name: str, group: str, why: str, sign: int = 0, reason: str = "", leakage: str = KNOWN_AT_AS_OF) -> Feature:
    return Feature(name, "number", why, monotone=sign, monotone_reason=reason, leakage=leakage, group=group)


def _truth(name: str, group: str, why: str, sign: int = 0, reason: str = "") -> Feature:
    return Feature(name, "boolean", why, monotone=sign, monotone_reason=reason, group=group)


def _text(name: str, group: str, why: str) -> Feature:
    return Feature(name, "category", why, group=group)


def _willingness(group: str, *, is_risk: bool) -> tuple[Feature, ...]:
    """The three columns of the latent willingness; for default risk their signs are known."""

    def column(name: str, why: str, reason: str = "") -> Feature:
        sign = -1 if is_risk and reason else 0
        return Feature(
            name,
            "number",
            why,
            monotone=sign,
            monotone_reason=reason if sign else "",
            leakage=ENDED_WEEKS,
            group=group,
            source="willingness",
        )

    return (
        column("willingness_level", "how readily the member pays, as it stays", "who pays more readily is no riskier"),
        column("willingness_trouble", "how much that is off at present", "a trouble that lifts is no bad sign"),
        column("willingness_variance", "how little is known of the two"),
    )


def _record(channels: Sequence[str]) -> tuple[Feature, ...]:
    """The record of a member's contacts, in the order of ``models.willingness.record.records``."""

    def column(name: str, group: str, why: str) -> Feature:
        return Feature(name, "number", why, leakage=ENDED_WEEKS, group=group, source="willingness")

    return (
        *(column(f"{name}_reach_score", "REACH", f"how often {name} reaches the member") for name in channels),
        column("reach_score", "REACH", "how often any contact reaches the member"),
        *(
            column(f"{name}_response_score", "PAYING", f"what the member pays beyond expectation after {name}")
            for name in channels
        ),
        column("response_score", "PAYING", "what the member pays beyond expectation after any contact"),
        column("fatigue_score", "FATIGUE", "attempts, the fresher the more"),
    )


WILLINGNESS_COLUMNS = ("willingness_level", "willingness_trouble", "willingness_variance")

_LATER = "more overdue never makes the threshold farther away"
_WORSE = "a worse record never speaks for a loan"

LOAN_FEATURES = FeatureSpec(
    model="default_risk",
    table="features.feat_loan__as_of",
    columns=(
        _key("as_of_date"),
        _key("loan_id"),
        _key("customer_id"),
        _flag("is_score"),
        _flag("is_risk_training"),
        _text("product_code", "LOAN_TERMS", "products are granted to different people for different ends"),
        Feature(
            "branch_id",
            "category",
            "segment of the calibration report; not learnt from: a new branch has no past, and province carries place",
            role="context",
        ),
        _text("province", "PLACE_WORK", "local economy"),
        _text("collateral_code", "LOAN_TERMS", "what secures the loan changes the will to pay"),
        _text("occupation", "PLACE_WORK", "how income arrives over the month and the year"),
        _number("past_due_days", "OVERDUE_NOW", "how far on the way to the threshold", 1, _LATER),
        _number("past_due_installment_count", "OVERDUE_NOW", "how many instalments must be caught up", 1, _LATER),
        _number("arrears_amount", "OVERDUE_NOW", "money to catch up"),
        _number("outstanding_principal_amount", "LOAN_AGE", "what is still to be paid"),
        _number("installment_amount", "BURDEN", "size of one payment"),
        _number("arrears_to_installment_rate", "OVERDUE_NOW", "instalments' worth of arrears", 1, _LATER),
        _number("due_next_window_amount", "CALENDAR", "what falls due in the coming days"),
        _number("next_due_in_days", "CALENDAR", "where the loan stands between two due dates"),
        _number("days_since_last_payment", "PAYING_LESS", "silence"),
        _number("days_since_disbursement", "LOAN_AGE", "young loans have shown little"),
        _number("remaining_installment_count", "LOAN_AGE", "a loan near its end rarely reaches the threshold"),
        _number("paid_principal_rate", "LOAN_AGE", "own stake in the loan"),
        _number("principal_amount", "LOAN_TERMS", "size of the loan", leakage=STATIC_TERMS),
        _number("annual_rate", "LOAN_TERMS", "price set for the risk seen at granting", leakage=STATIC_TERMS),
        _number("term_months", "LOAN_TERMS", "length of the commitment", leakage=STATIC_TERMS),
        _truth("is_restructured", "RESTRUCTURED", "the schedule was changed once already"),
        _number(
            "burden_rate", "BURDEN", "instalment over monthly income", 1, "a heavier instalment is not easier to pay"
        ),
        _number("paid_28d_rate", "PAYING_LESS", "money in the last four weeks, in instalments"),
        _number("paid_91d_rate", "PAYING_LESS", "money in the last quarter, in instalments"),
        _number("paid_364d_rate", "PAYING_LESS", "money in the last year, in instalments"),
        _number("shortfall_28d_rate", "PAYING_LESS", "dues less payments of four weeks, in instalments"),
        _number("shortfall_91d_rate", "PAYING_LESS", "dues less payments of a quarter", 1, _WORSE),
        _number("shortfall_364d_rate", "PAYING_LESS", "dues less payments of a year", 1, _WORSE),
        _number("max_late_days_91d", "LATE_RECORD", "worst lateness of the last quarter", 1, _WORSE),
        _number("max_late_days_182d", "LATE_RECORD", "worst lateness of the last half-year", 1, _WORSE),
        _number("max_late_days_364d", "LATE_RECORD", "worst lateness of the last year", 1, _WORSE),
        _number("mean_late_days_182d", "LATE_RECORD", "usual lateness", 1, _WORSE),
        _number("late_installment_count_364d", "LATE_RECORD", "how often late", 1, _WORSE),
        _number("late_over_30_installment_count_364d", "LATE_RECORD", "how often badly late", 1, _WORSE),
        _number(
            "on_time_rate_364d", "LATE_RECORD", "how often on time", -1, "a better record never speaks against a loan"
        ),
        _number("payment_count_91d", "PAYING_LESS", "rhythm of payments"),
        _number("promise_count_182d", "BROKEN_PROMISES", "promises are asked of those who owe"),
        _number(
            "kept_promise_rate_364d", "BROKEN_PROMISES", "worth of the member's word", -1, "a kept word is a good sign"
        ),
        _number("broken_promise_count_182d", "BROKEN_PROMISES", "worth of the member's word", 1, _WORSE),
        _number("member_active_loan_count", "OTHER_LOANS", "other loans compete for the same income"),
        _number("member_max_past_due_days", "OTHER_LOANS", "the member's worst loan", 1, _WORSE),
        _number("member_tenure_days", "LOAN_AGE", "length of the relation"),
        _truth("is_urban", "PLACE_WORK", "distance to a branch"),
        _number("monthly_income_amount", "BURDEN", "means to pay"),
        _number("attempt_28d_count", "HARD_TO_REACH", "how much effort was spent lately"),
        _number("attempt_91d_count", "HARD_TO_REACH", "how much effort was spent"),
        _number("right_party_91d_count", "HARD_TO_REACH", "whether the member answers"),
        _number("no_answer_91d_count", "HARD_TO_REACH", "whether the member avoids contact"),
        Feature(
            "day_of_month",
            "number",
            "not learnt from: with few training dates it names the date",
            role="context",
            leakage="the calendar is known",
        ),
        Feature(
            "day_of_year",
            "number",
            "harvests, school fees, year-end bonus",
            role="season",
            leakage="the calendar is known",
        ),
        *_willingness("WILLINGNESS", is_risk=True),
    ),
    groups=(
        ReasonGroup(
            "OVERDUE_NOW",
            "Tiene cuotas vencidas hoy.",
            "Has overdue instalments today.",
            ("past_due_days > 0",),
        ),
        ReasonGroup(
            "LATE_RECORD",
            "En el último año ha pagado tarde.",
            "Has paid late in the last year.",
            ("late_installment_count_364d > 0", "max_late_days_364d > 0"),
        ),
        ReasonGroup(
            "PAYING_LESS",
            "Últimamente entra menos dinero de lo que vence.",
            "Lately less money comes in than falls due.",
            ("shortfall_28d_rate > 0", "shortfall_91d_rate > 0"),
        ),
        ReasonGroup(
            "WILLINGNESS",
            "Semana a semana paga menos de lo que se espera de quien debe lo mismo.",
            "Week by week pays less than is expected of somebody who owes the same.",
            ("willingness_level < -1 * willingness_trouble",),
        ),
        ReasonGroup(
            "BROKEN_PROMISES",
            "Ha incumplido promesas de pago.",
            "Has broken promises to pay.",
            ("broken_promise_count_182d > 0",),
        ),
        ReasonGroup(
            "OTHER_LOANS",
            "Tiene otros créditos, o uno de ellos está más atrasado.",
            "Has other loans, or one of them is further behind.",
            ("member_active_loan_count > 1",),
        ),
        ReasonGroup(
            "BURDEN",
            "La cuota pesa frente a sus ingresos.",
            "The instalment is heavy against the income.",
            ("burden_rate >= 0.3",),
        ),
        ReasonGroup(
            "LOAN_AGE",
            "Lleva poco pagado de este crédito.",
            "Little of this loan has been paid so far.",
            ("paid_principal_rate < 0.33",),
        ),
        ReasonGroup(
            "LOAN_TERMS",
            "Créditos con estas condiciones se atrasan más.",
            "Loans on these terms fall behind more often.",
        ),
        ReasonGroup(
            "RESTRUCTURED",
            "El crédito ya fue reestructurado.",
            "The loan was restructured before.",
            ("is_restructured > 0",),
        ),
        ReasonGroup(
            "HARD_TO_REACH",
            "Se le ha buscado y responde poco.",
            "Was sought and seldom answers.",
            ("right_party_91d_count < 0.25 * attempt_91d_count",),
        ),
        ReasonGroup(
            "PLACE_WORK",
            "En su zona u ocupación los atrasos son más frecuentes.",
            "Arrears are more frequent in this area or occupation.",
        ),
        ReasonGroup(
            "CALENDAR",
            "La fecha y la próxima cuota coinciden con semanas difíciles.",
            "The date and the next instalment fall in difficult weeks.",
            ("next_due_in_days >= 0",),
        ),
    ),
)

ALREADY_PAST_THRESHOLD = ReasonGroup(
    "ALREADY_PAST_THRESHOLD",
    "Ya superó los días de mora que definen el incumplimiento.",
    "Is already past the overdue days that define default.",
)

CONTACT_CHANNELS = ("call", "ivr", "whatsapp", "sms", "email", "visit")
CHANNEL_POINTS: dict[str, tuple[str, ...]] = {
    "call": ("has_mobile", "has_landline"),
    "ivr": ("has_mobile", "has_landline"),
    "whatsapp": ("has_whatsapp",),
    "sms": ("has_mobile",),
    "email": ("has_email",),
    "visit": ("has_address",),
}
"""Columns of which one must be true for the channel to reach the member; the kinds of ``CONTACT-POINTS/available``."""
RECORD_COLUMNS = tuple(column.name for column in _record(CONTACT_CHANNELS))


def _channel_columns(channel: str) -> tuple[Feature, ...]:
    return (
        _number(f"{channel}_attempt_28d_count", "FATIGUE", f"recent {channel} attempts wear off"),
        _number(f"{channel}_attempt_182d_count", "REACH", f"how often {channel} was tried"),
        _number(f"{channel}_contact_182d_count", "REACH", f"how often {channel} was answered"),
        _number(f"{channel}_contact_rate_364d", "REACH", f"the member's own record of answers on {channel}"),
    )


CUSTOMER_FEATURES = FeatureSpec(
    model="contact_channel",
    table="features.feat_customer__as_of",
    columns=(
        _key("as_of_date"),
        _key("customer_id"),
        _flag("is_score"),
        _flag("is_channel_training"),
        _flag("is_eligible"),
        Feature("loan_id", "category", "the loan that the contact is about", role="key"),
        _text("province", "PLACE_WORK", "local economy and distance"),
        Feature("branch_id", "category", "segment of the report; not learnt from", role="context"),
        _text("occupation", "PLACE_WORK", "when income arrives and when people can answer"),
        _text("product_code", "DEBT", "what the money was for"),
        _number("active_loan_count", "DEBT", "a contact moves all loans of the member"),
        _number("past_due_days", "DEBT", "stage: what a contact does depends on how late it comes"),
        _number("arrears_amount", "DEBT", "what is overdue"),
        _number("collectable_amount", "DEBT", "what can be paid within the window"),
        _number("due_next_window_amount", "DEBT", "what falls due within the window"),
        _number("installment_amount", "DEBT", "size of one payment"),
        _number("outstanding_principal_amount", "DEBT", "what is still to be paid"),
        _number("past_due_installment_count", "DEBT", "instalments to catch up"),
        _number("next_due_in_days", "CALENDAR", "nearness of the next due date"),
        _number("days_since_last_payment", "PAYING", "rhythm"),
        _number("paid_28d_rate", "PAYING", "money in the last four weeks, in instalments"),
        _number("paid_91d_rate", "PAYING", "money in the last quarter, in instalments"),
        _number("shortfall_28d_rate", "PAYING", "dues less payments of four weeks"),
        _number("shortfall_91d_rate", "PAYING", "dues less payments of a quarter"),
        _number("shortfall_364d_rate", "PAYING", "dues less payments of a year"),
        _number("max_late_days_91d", "PAYING", "worst lateness of the last quarter"),
        _number("max_late_days_182d", "PAYING", "worst lateness of the last half-year"),
        _number("max_late_days_364d", "PAYING", "worst lateness of the last year"),
        _number("mean_late_days_182d", "PAYING", "usual lateness"),
        _number("on_time_rate_364d", "PAYING", "how often on time"),
        _number("payment_count_91d", "PAYING", "rhythm of payments"),
        _number("monthly_income_amount", "MEANS", "means to pay"),
        _number("burden_rate", "MEANS", "instalment over income"),
        _number("member_tenure_days", "MEANS", "length of the relation"),
        _truth("is_urban", "PLACE_WORK", "distance to a branch"),
        _truth("has_open_promise", "PROMISES", "a promise is being waited for"),
        _number("promise_count_182d", "PROMISES", "promises given"),
        _number("kept_promise_rate_364d", "PROMISES", "worth of the member's word"),
        _number("broken_promise_count_182d", "PROMISES", "worth of the member's word"),
        _number("attempt_7d_count", "FATIGUE", "the fourth message of a week does less"),
        _number("attempt_14d_count", "FATIGUE", "recent contacts"),
        _number("attempt_21d_count", "FATIGUE", "recent contacts"),
        _number("attempt_28d_count", "FATIGUE", "recent contacts"),
        _number("attempt_42d_count", "FATIGUE", "recent contacts"),
        _number("attempt_56d_count", "FATIGUE", "recent contacts"),
        _number("days_since_last_attempt", "FATIGUE", "how long left alone"),
        _number("days_since_last_contact", "REACH", "how long since an answer"),
        *(column for channel in CONTACT_CHANNELS for column in _channel_columns(channel)),
        _truth("has_mobile", "REACH", "a mobile number known to be valid"),
        _truth("has_whatsapp", "REACH", "a WhatsApp number"),
        _truth("has_landline", "REACH", "a landline"),
        _truth("has_email", "REACH", "a mailbox"),
        _truth("has_address", "REACH", "an address"),
        _number("day_of_month", "CALENDAR", "pay days"),
        Feature(
            "day_of_year",
            "number",
            "harvests, school fees, year-end bonus",
            role="season",
            leakage="the calendar is known",
        ),
        *_willingness("PAYING", is_risk=False),
        *_record(CONTACT_CHANNELS),
    ),
    groups=(
        ReasonGroup(
            "REACH",
            "Suele responder por uno de los canales.",
            "Usually answers on one of the channels.",
            tuple(f"{channel}_contact_rate_364d >= 0.5" for channel in CONTACT_CHANNELS),
        ),
        ReasonGroup(
            "FATIGUE",
            "Se le ha contactado poco últimamente.",
            "Was seldom contacted lately.",
            ("attempt_28d_count <= 2",),
        ),
        ReasonGroup(
            "DEBT",
            "Por el monto y la etapa de la deuda, el contacto ayuda.",
            "Given amount and stage, a contact helps.",
            ("collectable_amount > 0",),
        ),
        ReasonGroup(
            "PAYING",
            "Su ritmo de pago indica que un recordatorio sirve.",
            "The rhythm of payments says a reminder helps.",
            ("payment_count_91d > 0",),
        ),
        ReasonGroup(
            "PROMISES", "Tiene promesas de pago recientes.", "Has recent promises to pay.", ("promise_count_182d > 0",)
        ),
        ReasonGroup("MEANS", "Tiene con qué pagar.", "Has the means to pay.", ("burden_rate < 0.3",)),
        ReasonGroup(
            "PLACE_WORK", "En su zona u ocupación el contacto rinde.", "A contact works in this area or occupation."
        ),
        ReasonGroup("CALENDAR", "Es buen momento del mes.", "It is a good time of the month."),
    ),
)


def explain_groups(
    spec: FeatureSpec,
    contributions: np.ndarray,
    frame: pd.DataFrame,
    *,
    most: int = 4,
    least: float = 0.05,
    uses_evidence: bool = True,
) -> list[list[str]]:
    """Per row, the codes of the groups that raised the score most, strongest first.

    ``contributions`` has one column per feature in the order of the spec, in log odds; those of a group are summed. A
    group counts when its sum is at least ``least`` and, if it has evidence and ``uses_evidence``, one of the conditions
    is true of the row. Ties go to the spec's order.
    """
    codes = [group.code for group in spec.groups]
    place = {code: index for index, code in enumerate(codes)}
    totals = np.zeros((len(frame), len(codes)))
    for index, feature in enumerate(spec.features):
        totals[:, place[feature.group]] += contributions[:, index]
    for index, group in enumerate(spec.groups):
        if group.evidence and uses_evidence:
            seen = [condition.holds(lambda name: number(spec, frame[name])) for condition in group.conditions]
            totals[~np.any(seen, axis=0), index] = 0.0
    order = np.argsort(-totals, axis=1, kind="stable")[:, :most]
    strong = np.take_along_axis(totals, order, axis=1) >= least
    names = np.array(codes, dtype=object)[order]
    return [list(row[mask]) for row, mask in zip(names, strong, strict=True)]


def check_spec(spec: FeatureSpec) -> None:
    """Raise unless names are unique, every feature has a known group and every sign has its reason."""
    check_no_protected(spec)
    if len(set(spec.names)) != len(spec.names):
        raise ModelError(f"{spec.model}: a column is named twice in its spec.")
    known: Sequence[str] = [group.code for group in spec.groups]
    for feature in spec.features:
        if feature.group not in known:
            raise ModelError(f"{spec.model}: feature {feature.name} has the unknown reason group {feature.group!r}.")
        if feature.monotone and not feature.monotone_reason:
            raise ModelError(f"{spec.model}: feature {feature.name} has a sign but no reason for it.")
    for group in spec.groups:
        unknown = sorted({name for one in group.conditions for name in one.columns} - set(spec.names))
        if unknown:
            raise ModelError(f"{spec.model}: the evidence of {group.code} reads {unknown}, no columns of {spec.table}.")
