"""What a column of a frame holds: numbers, texts, dates, yes and no; what is refused, and what to do instead."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pandas as pd

from models.datasets import as_dates
from models.features import FeatureType
from models.protected import LINKS, PERSONS, words

MOST_TEXTS, MOST_TEXT_SHARE = 50, 0.5
"""A text column with more values than the first, and more than this share of the rows, names rows and tells nothing."""
DOCUMENT_WORDS = frozenset(
    {"cedula", "cpf", "curp", "dni", "identificacion", "nit", "pasaporte", "rfc", "ruc", "rut", "ssn"}
)
"""A column of many values with one of these words in its name is a person's document."""
KEY_WORDS = frozenset({"id", "ids", "codigo", "cod", "code"})
TEXT_KEY_WORDS = frozenset({"number", "numero", "num", "nro"})
"""Next to a word for a person these make its key; the latter of texts alone, since ``numero_clientes`` is a count."""
ID_WORDS = DOCUMENT_WORDS | {"id", "ids", "codigo"}
"""A column of many whole numbers, or many texts, with one of these words in its name is taken for a key."""


class IdentifierWarning(UserWarning):
    """A column looks like a key; it was learnt from."""


def kind_of(model: str, name: str, column: pd.Series) -> FeatureType:
    """Whether a column is a number, a boolean or a category.

    Raises:
        ValueError: it holds dates, lists or numbers written as texts, or names rows.
    """
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"{model}: Complex data not supported: column {name!r}.")
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    known = column.dropna()
    times = (
        pd.api.types.is_datetime64_any_dtype(dtype)
        or pd.api.types.is_timedelta64_dtype(dtype)
        or isinstance(dtype, pd.PeriodDtype)
        or _holds(known, _DATES)
    )
    if times or _are_text_dates(known):
        raise ValueError(
            f"{model}: column {name!r} holds dates, which a model would learn by heart. Name it in the parameter date, "
            "turn it into days before the date of the row, or drop it."
        )
    if _holds(known, (bool, np.bool_)):
        return "boolean"
    if _holds(known, _NUMBERS):
        return "number"
    if pd.api.types.is_object_dtype(dtype) and any(isinstance(value, _COLLECTIONS) for value in known):
        raise ValueError(
            f"{model}: column {name!r} holds lists or other collections, which are neither numbers nor texts. Make one "
            "column of each thing that they tell (a count, a flag), or drop it."
        )
    texts = known.astype("object").astype(str).unique().tolist()
    written = written_numbers(texts)
    if written:
        raise ValueError(
            f"{model}: column {name!r} holds numbers written as texts, such as {written[0]!r}, which would be learnt "
            f"as categories without an order. Turn them into numbers: {AS_NUMBERS.format(repr(name))}; or, if they "
            f"are codes, put a letter before: 'c' + frame[{name!r}]."
        )
    if len(texts) > MOST_TEXTS and len(texts) > MOST_TEXT_SHARE * len(column):
        raise ValueError(
            f"{model}: the text column {name!r} has {len(texts)} values in {len(column)} rows: it names rows. "
            "Name it in the parameter member, or drop it."
        )
    return "category"


_DATES = (datetime.date, datetime.timedelta, np.datetime64, pd.Period)
_NUMBERS = (bool, np.bool_, int, float, Decimal, np.number)
_COLLECTIONS = (list, tuple, set, frozenset, dict, np.ndarray)
_ISO_DATE = r"\s*\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:.*)?\s*"
_ANY_DATE = rf"{_ISO_DATE}|\s*(?:\d{{4}}[/.]\d{{1,2}}[/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}})(?:[T ].*)?\s*"


_PLAIN = r"(?:0|[1-9]\d*)"
_GROUPED = r"[1-9]\d{0,2}(?:[.,' \u00a0\u202f]\d{3})+"
_AS_WRITTEN = re.compile(
    rf"[-+(]?\s*(?P<coin>(?:US|S/\.?)?\s*[$€]|S/\.?)?\s*[-+]?"
    rf"(?:(?P<grouped>{_GROUPED})|{_PLAIN}|(?=[.,]\d))(?P<decimals>[.,]\d+)?(?P<power>[eE][-+]?\d+)?\s*(?P<percent>%)?\s*\)?"
)
AS_NUMBERS = (
    "pd.to_numeric(frame[{0}]) where the point is the decimal sign, and "
    "frame[{0}].str.replace('.', '').str.replace(',', '.').astype(float) where the comma is"
)


def written_numbers(texts: Sequence[str]) -> list[str]:
    """Of different texts, those that only a number is written like, when most of them read as numbers; else none.

    Only a number has a decimal part (``0,53``), separated thousands (``1.200``), a percent sign, a coin or a power of
    ten. Digits alone (``17``, ``001``) may be a code and are a number only in the company of one of those; a zero
    before other digits (``01.11``) and more than one point without groups of three (``1.1.02``) are codes. Blanks and
    dashes stand for nothing known.

    >>> written_numbers(["0,53", "12", "sin dato"])
    ['0,53']
    >>> written_numbers(["17", "001", "170150"]), written_numbers(["01.11", "01.12"]), written_numbers(["1-5", "6-15"])
    ([], [], [])
    """
    said = [text.strip() for text in texts if text.strip() not in ("", "-", "–")]
    found = [(text, _AS_WRITTEN.fullmatch(text)) for text in said]
    read = [(text, one) for text, one in found if one is not None and any(sign.isdigit() for sign in text)]
    if len(read) <= len(said) / 2:
        return []
    return [text for text, one in read if any(one.groups())]


def _are_text_dates(known: pd.Series) -> bool:
    """Whether most of the values are texts that read as dates."""
    some = [value for value in known.head(1000).tolist() if isinstance(value, str)]
    return bool(some) and sum(re.fullmatch(_ANY_DATE, value) is not None for value in some) > len(some) / 2


def days_of(model: str, name: str, column: pd.Series) -> pd.Series:
    """The days of a date column.

    Raises:
        ValueError: they carry a time zone, are periods or numbers, or texts that can be read in more than one way.
    """
    say = f"{model}: the date column {name!r}"
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        raise ValueError(
            f"{say} carries the time zone {column.dtype.tz}, and the day of a moment depends on it. Take the local "
            f"day: frame[{name!r}].dt.tz_localize(None)."
        )
    if isinstance(column.dtype, pd.PeriodDtype) or _holds(column.dropna(), (pd.Period,)):
        raise ValueError(
            f"{say} holds periods, which have no one day. Take the first or the last: "
            f"pd.PeriodIndex(frame[{name!r}]).to_timestamp(how='end')."
        )
    if pd.api.types.is_numeric_dtype(column.dtype) and column.notna().any():
        raise ValueError(
            f"{say} holds numbers such as {column.dropna().iloc[0]}; turn them into dates with pd.to_datetime and the "
            "format that they are written in."
        )
    unclear = [one for one in column.dropna().unique() if isinstance(one, str) and not re.fullmatch(_ISO_DATE, one)]
    if unclear:
        raise ValueError(
            f"{say} holds {len(unclear)} texts that are no dates or can be read in more than one way, such as "
            f"{unclear[0]!r}. Write year-month-day, or turn them into dates with pd.to_datetime and their format."
        )
    try:
        return as_dates(column)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{say} cannot be read as dates ({error}); turn it into dates without a time zone.") from error


def _holds(known: pd.Series, types: tuple[type, ...]) -> bool:
    return known.dtype == object and len(known) > 0 and all(isinstance(value, types) for value in known.head(1000))


def check_keys(model: str, name: str, column: pd.Series, kind: FeatureType) -> None:
    """Refuse what by its name is a person's document or key, and warn of other columns that look like a key.

    A tree learns a key by heart, and what is judged on the same people then looks too good. Few values are no key.

    Raises:
        ValueError: texts or whole numbers, of more than ``MOST_TEXTS`` values, in a column whose name has one of
            ``DOCUMENT_WORDS``, or a word for a key next to one for a person (``customer_id``, ``codigo_socio``).
    """
    if kind == "boolean" or column.nunique() <= MOST_TEXTS:
        return
    count, found = column.nunique(), [word for word in words(name) if word not in LINKS]
    is_text, is_integer = kind == "category", bool(pd.api.types.is_integer_dtype(column.dtype))
    key = KEY_WORDS | TEXT_KEY_WORDS if is_text else KEY_WORDS
    of_person = any(
        (one in key and other in PERSONS) or (one in PERSONS and other in key) for one, other in pairwise(found)
    )
    if (of_person or DOCUMENT_WORDS & set(found)) and (is_text or is_integer or _are_whole(column)):
        raise ValueError(
            f"{model}: by its name the column {name!r} is a person's key or document, and it has {count} values, which "
            "a model learns by heart. Name it in the parameter member, or drop it; rename it if it is something else."
        )
    if is_integer and (count == len(column) or ID_WORDS & set(found)):
        warnings.warn(
            f"{model}: column {name!r} has {count} different whole numbers in {len(column)} rows and looks like a key, "
            "which a model learns by heart. Name it in the parameter member, or drop it; if it measures something, "
            f"give it as a decimal number: frame[{name!r}].astype(float).",
            IdentifierWarning,
            stacklevel=4,
        )
    if is_text and ID_WORDS & set(found):
        warnings.warn(
            f"{model}: the text column {name!r} has {count} values in {len(column)} rows and looks like a key, which a "
            "model learns by heart. Name it in the parameter member, or drop it, unless many members share a value.",
            IdentifierWarning,
            stacklevel=4,
        )


def _are_whole(column: pd.Series) -> bool:
    """Whether all known numbers are whole, whatever dtype they have: a gap makes decimals of whole numbers."""
    known = column.dropna().to_numpy(dtype=np.float64)
    return bool((known == np.floor(known)).all())


def amounts_of(model: str, what: str, column: pd.Series) -> np.ndarray:
    """The numbers of a column as decimals; NaN where nothing is known.

    Raises:
        ValueError: it holds something else; texts too, for ``1.200`` is read in two ways. ``what`` names the column.
    """
    if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
        for value in column.dropna().unique().tolist():
            if not isinstance(value, _NUMBERS):
                raise ValueError(
                    f"{model}: {what} holds {value!r}, which is no number. Texts are not read as numbers, for 1.200 "
                    f"can be read in two ways; turn them into numbers: {AS_NUMBERS.format('...')}."
                )
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def flags_of(model: str, name: str, column: pd.Series) -> np.ndarray:
    """A column of yes and no as booleans; no where nothing is known.

    Raises:
        ValueError: it holds anything but True, False, 1 and 0: of a text or a code nobody knows which one means yes.
    """
    seen = column.dropna().unique().tolist()
    if not all(isinstance(value, _NUMBERS) and value in (0, 1) for value in seen):
        raise ValueError(
            f"{model}: the column {name!r} must say yes or no, and it holds {seen[:6]}. Give True and False (or 1 and "
            f"0), and nothing where it is not known: frame[{name!r}] == the value that means yes."
        )
    values = column.astype("object")
    return values.where(values.notna(), False).to_numpy().astype(bool)
