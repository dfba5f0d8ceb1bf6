"""The columns of ``features.feat_promise__as_of`` and what each means for a promise."""

from __future__ import annotations

from models.features import Feature, FeatureSpec, ReasonGroup


def _number(name: str, group: str, why: str, sign: int = 0, reason: str = "") -> Feature:
    return Feature(name, "number", why, monotone=sign, monotone_reason=reason, group=group)


def _text(name: str, group: str, why: str) -> Feature:
    return Feature(name, "category", why, group=group)


_RECORD = "a better record of kept promises never speaks against the next"

PROMISE_FEATURES = FeatureSpec(
    model="kept_promise",
    table="features.feat_promise__as_of",
    columns=(
        Feature("as_of_date", "category", "identifies the row", role="key"),
        Feature("promise_id", "category", "identifies the row", role="key"),
        Feature("customer_id", "category", "identifies the member", role="key"),
        Feature("loan_id", "category", "identifies the loan", role="key"),
        Feature("is_score", "boolean", "selects rows for scoring or training", role="flag"),
        _text("product_code", "MEANS", "what the money was for"),
        _text("province", "MEANS", "local economy"),
        _text("occupation", "MEANS", "how income arrives"),
        _text("channel_code", "PROMISE", "a word given face to face differs from one given in a message"),
        _number("promised_amount", "PROMISE", "size of the promise"),
        _number("promised_to_arrears_rate", "PROMISE", "part of the arrears that is promised"),
        _number("promised_to_installment_rate", "PROMISE", "instalments that are promised"),
        _number("promised_to_income_rate", "PROMISE", "weight of the promise against the income"),
        _number(
            "missing_rate", "TIME_LEFT", "what is still to come", -1, "more still to come is never easier to bring"
        ),
        _number("days_since_made", "TIME_LEFT", "how long the promise has been waited for"),
        _number("days_to_due", "TIME_LEFT", "days to the promised day"),
        _number("days_to_grace_end", "TIME_LEFT", "days that are left", 1, "more days left never make keeping harder"),
        _number("past_due_days", "DEBT", "stage of the arrears"),
        _number("arrears_amount", "DEBT", "what is overdue"),
        _number("installment_amount", "DEBT", "size of one payment"),
        _number("days_since_last_payment", "PAYING", "silence"),
        _number("paid_28d_rate", "PAYING", "money in the last four weeks, in instalments"),
        _number("paid_91d_rate", "PAYING", "money in the last quarter, in instalments"),
        _number("promise_count_182d", "RECORD", "promises given"),
        _number("broken_promise_count_182d", "RECORD", "worth of the member's word", -1, _RECORD),
        _number("settled_promise_count_364d", "RECORD", "how much is known of the member's word"),
        _number("kept_promise_rate_364d", "RECORD", "worth of the member's word", 1, _RECORD),
        _number("open_promise_count", "RECORD", "other promises compete for the same income"),
        _number("attempt_28d_count", "CONTACT", "recent contacts"),
        _number("right_party_28d_count", "CONTACT", "recent talks with the member"),
        Feature("is_urban", "boolean", "distance to a branch", group="MEANS"),
        _number("monthly_income_amount", "MEANS", "means to pay"),
        _number("due_day_of_month", "PROMISE", "nearness of the promised day to a pay day"),
    ),
    groups=(
        ReasonGroup("PROMISE", "Por el monto y la fecha que prometió.", "Given the amount and day promised."),
        ReasonGroup("TIME_LEFT", "Por los días que quedan y lo que falta.", "Given the days left and what is missing."),
        ReasonGroup("RECORD", "Por cómo cumplió sus promesas anteriores.", "Given how earlier promises were kept."),
        ReasonGroup("PAYING", "Por su ritmo de pago reciente.", "Given the recent rhythm of payments."),
        ReasonGroup("DEBT", "Por el monto y la etapa de la deuda.", "Given amount and stage of the debt."),
        ReasonGroup("CONTACT", "Por los contactos recientes.", "Given the recent contacts."),
        ReasonGroup("MEANS", "Por sus ingresos, ocupación y lugar.", "Given income, occupation and place."),
    ),
)
