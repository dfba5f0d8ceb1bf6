"""What frames look like in this house, whatever pandas made of them on the way."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def texts_or_none(frame: pd.DataFrame, names: Sequence[str] | None = None) -> pd.DataFrame:
    """The same frame, changed in place: texts as objects with None for what is missing.

    >>> texts_or_none(pd.DataFrame({"zone": ["north", float("nan")], "count": [1, 2]}))["zone"].tolist()
    ['north', None]

    Args:
        frame: any.
        names: columns of texts; one without a single value has another type by chance. By default what looks like text.
    """
    if names is None:
        # of the type alone: that of objects counts as text too
        names = [name for name in frame.columns if pd.api.types.is_string_dtype(frame[name].dtype)]
    for name in names:
        values = frame[name].astype(object)
        frame[name] = values.where(values.notna(), None)
    return frame
