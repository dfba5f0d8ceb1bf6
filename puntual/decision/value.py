"""What a contact is worth beyond the money it recovers: provision that is not needed, and the fee that may be charged.

A loan whose past-due days reach the next rating category within the response window rolls unless enough is paid
before. A contact that raises the probability of paying by ``d`` avoids the roll with probability ``d`` times the
probability that who pays pays enough; what it then avoids is the balance times the difference of the provision shares.

What is assumed, and not known:

1. Money goes to the oldest debt first: of a member with several loans only the one of most past-due days counts.
2. Who pays because of a contact pays as much as who pays anyway: as large a part of an instalment as in the payments of
   the institution's last half year.
3. A roll that is avoided today may come next month, and part of a provision is the same money that is recovered. The
   setting ``decision.provision_weight`` scales what counts.
4. The fee of a contact that reaches the member is charged for the oldest debt, and is paid. Whether one may be charged
   at all is no assumption: :mod:`puntual.decision.fees`.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.errors import RuleError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STAKE_COLUMNS = ("customer_id", "roll_amount", "enough_amount", "enough_probability", "fee_amount", "fee_channels")
_SHAPE_DAYS = 182
_LEAST_PAYMENTS = 200
_DAYS_OF_AN_INSTALLMENT = 30


def stakes(
    loans: pd.DataFrame,
    payments: pd.DataFrame,
    ratings: pd.DataFrame,
    fees: pd.DataFrame,
    fee_channels: pd.Series,
    *,
    as_of: date,
    window_days: int,
) -> pd.DataFrame:
    """What is at stake for each member within the response window: one row per member with a loan, by customer_id.

    ``roll_amount``: provision that the roll of the oldest debt to a worse category would ask for, 0 when none is near.
    ``enough_amount``: what must be paid to stay in the category; NaN when no roll is near. ``enough_probability``:
    share of the paying loans of the last half year that paid at least that within such a window; NaN when fewer than
    200 did or nothing is needed. ``fee_amount``: the regulated fee of the oldest debt, before tax; NaN where no table
    of fees is in force. ``fee_channels``: JSON list of the channels whose contact may be charged that today.

    Args:
        loans: loan_id, customer_id, line_code, past_due_days, next_due_in_days, outstanding_principal_amount,
            arrears_amount, past_due_installment_count, installment_amount, due_next_window_amount; a row per open loan.
        payments: loan_id, paid_date, payment_amount, is_reversal.
        ratings: line_code, min_days, max_days (NaN: open), provision_share; the rows of one table in force. A line
            without rows, or a share that is not known, has nothing at stake.
        fees: min_installment_amount, below_installment_amount (NaN: open), min_days, max_days (NaN: open), fee_amount.
        fee_channels: JSON list of channels by loan_id, from :func:`puntual.decision.fees.chargeable`.
        as_of: business date.
        window_days: length of the response window.

    Raises:
        RuleError: a loan appears twice.
    """
    if loans["loan_id"].duplicated().any():
        raise RuleError("A loan appears twice among the open loans; give the rows of one as-of date only.")
    oldest = loans.sort_values(
        ["customer_id", "past_due_days", "arrears_amount", "loan_id"], ascending=[True, False, False, True]
    )
    oldest = oldest.drop_duplicates("customer_id").reset_index(drop=True)
    days = oldest["past_due_days"].to_numpy(dtype=np.int64)
    next_due = pd.to_numeric(oldest["next_due_in_days"]).to_numpy(dtype=float, na_value=np.nan)
    # the due date itself is day 0; a loan that is current begins to count at its next due date
    first = np.where(np.isnan(next_due), 0.0, np.maximum(window_days - next_due, 0.0))
    later = np.where(days > 0, days + window_days, first).astype(np.int64)
    now_share, most_days = _category(oldest["line_code"], days, ratings)
    then_share, _ = _category(oldest["line_code"], later, ratings)
    worse = np.nan_to_num(then_share - now_share)
    balance = _number(oldest, "outstanding_principal_amount")
    rolls = worse > 0
    roll = np.where(rolls, np.maximum(worse, 0.0) * balance, 0.0)

    due, count = _number(oldest, "arrears_amount"), _number(oldest, "past_due_installment_count")
    installment = _number(oldest, "installment_amount")
    coming = _number(oldest, "due_next_window_amount")
    one = np.where(count > 0, due / np.maximum(count, 1.0), np.where(coming > 0, coming, installment))
    # each instalment that is cleared takes a month off the past-due days
    needed = np.ceil(np.maximum(later - most_days, 1.0) / _DAYS_OF_AN_INSTALLMENT)
    enough = np.where(rolls, one * np.where(count > 0, np.minimum(needed, count), 1.0), np.nan)
    shape = paid_shares(payments, loans, as_of=as_of, window_days=window_days)
    probability = np.full(len(oldest), np.nan)
    if shape.size >= _LEAST_PAYMENTS:
        known = rolls & (installment > 0)
        asked = enough[known] / installment[known]
        probability[known] = 1.0 - np.searchsorted(shape, asked - 1e-6, side="left") / shape.size
    return pd.DataFrame(
        {
            "customer_id": oldest["customer_id"].astype(object),
            "roll_amount": roll,
            "enough_amount": enough,
            "enough_probability": probability,
            "fee_amount": np.full(len(oldest), np.nan) if fees.empty else _fee(installment, days, fees),
            "fee_channels": oldest["loan_id"].map(fee_channels).fillna("[]").astype(object),
        },
        columns=list(STAKE_COLUMNS),
    )


def asks_for_more(ratings: pd.DataFrame) -> bool:
    """Whether a roll to a worse category of ``ratings`` can ask for more provision, of whatever loan."""
    for _, ladder in ratings.groupby("line_code"):
        share = _number(ladder.sort_values("min_days"), "provision_share", missing=np.nan)
        share = share[np.isfinite(share)]
        if (share[1:] > np.minimum.accumulate(share[:-1])).any():
            return True
    return False


def paid_shares(payments: pd.DataFrame, loans: pd.DataFrame, *, as_of: date, window_days: int) -> Floats:
    """What paying loans paid within a window, in instalments, sorted: one number per loan and window of the half year.

    Windows of ``window_days`` are counted back from ``as_of``, which is the last day of the first; reversals take away.
    """
    installment = pd.Series(_number(loans, "installment_amount"), index=loans["loan_id"])
    ago = (pd.Timestamp(as_of) - pd.to_datetime(payments["paid_date"])).dt.days
    mine = payments[(ago >= 0) & (ago < _SHAPE_DAYS) & payments["loan_id"].isin(installment.index[installment > 0])]
    amount = _number(mine, "payment_amount")
    signed = np.where(mine["is_reversal"].to_numpy(dtype=bool), -np.abs(amount), amount)
    window = (ago.loc[mine.index] // window_days).to_numpy()
    total = pd.Series(signed).groupby([mine["loan_id"].to_numpy(dtype=object), window]).sum()
    per_loan = installment.reindex(total.index.get_level_values(0)).to_numpy(dtype=float)
    shares = total.to_numpy(dtype=float) / per_loan
    return np.sort(shares[shares > 0])


def provision_avoided(gain: Floats, expected: Floats, pay: Floats, stake: pd.DataFrame) -> Floats:
    """Provision that each action is expected to avoid, rows x actions; 0 where nothing is at stake or known.

    The gain over the amount of a payment is the change of the probability of paying; it cannot lift the probability
    above 1. Where the share of payments that are enough is not known, the amount expected of a payment over the amount
    needed stands for it, at most 1.

    Args:
        gain: extra money expected, rows x actions.
        expected: amount expected of a payment, rows x actions.
        pay: probability of paying without a contact, rows x actions.
        stake: :data:`STAKE_COLUMNS` of each row, NaN where the member has no loan.
    """
    roll = np.nan_to_num(stake["roll_amount"].to_numpy(dtype=float))[:, None]
    needed = stake["enough_amount"].to_numpy(dtype=float)[:, None]
    measured = stake["enough_probability"].to_numpy(dtype=float)[:, None]
    is_known = np.isfinite(gain) & np.isfinite(expected) & (expected > 0) & (roll > 0)
    change = np.divide(gain, expected, out=np.zeros(gain.shape), where=is_known)
    change = np.clip(change, -np.nan_to_num(pay), 1.0 - np.nan_to_num(pay))
    by_mean = np.clip(np.divide(expected, needed, out=np.zeros(gain.shape), where=is_known & (needed > 0)), 0.0, 1.0)
    enough = np.where(np.isfinite(measured), np.nan_to_num(measured), by_mean)
    return np.where(is_known, change * enough * roll, 0.0)


def _category(line: pd.Series, days: Ints, ratings: pd.DataFrame) -> tuple[Floats, Floats]:
    """Provision share and last day of the category of each loan; NaN where the table does not have it."""
    share, last = np.full(len(days), np.nan), np.full(len(days), np.nan)
    for code, ladder in ratings.groupby("line_code"):
        rungs = ladder.sort_values("min_days")
        mine = np.flatnonzero((line == code).to_numpy(dtype=bool))
        place = np.searchsorted(rungs["min_days"].to_numpy(dtype=np.int64), days[mine], side="right") - 1
        inside = place >= 0
        share[mine[inside]] = _number(rungs, "provision_share", missing=np.nan)[place[inside]]
        last[mine[inside]] = _number(rungs, "max_days", missing=np.inf)[place[inside]]
    return share, last


def _fee(installment: Floats, days: Ints, fees: pd.DataFrame) -> Floats:
    found = np.zeros(len(days))
    for row in fees.itertuples(index=False):
        below = np.inf if pd.isna(row.below_installment_amount) else float(row.below_installment_amount)
        last = np.inf if pd.isna(row.max_days) else float(row.max_days)
        inside = (installment >= float(row.min_installment_amount)) & (installment < below)
        found[inside & (days >= row.min_days) & (days <= last)] = float(row.fee_amount)
    return found


def _number(frame: pd.DataFrame, column: str, missing: float = 0.0) -> Floats:
    return np.asarray(pd.to_numeric(frame[column]).astype(float).fillna(missing), dtype=np.float64)
