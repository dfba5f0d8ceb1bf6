"""Conditions that make a sentence true of a row: data beside the sentence, read by one rule."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from puntual.errors import ModelError

_FORM = re.compile(r"(\w+) (<=|>=|<|>) (-?\d+(?:\.\d+)?)(?: \* (\w+))?")
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Condition:
    """A column compared with a value, or with a value times another column; never true of a missing value.

    >>> few_answers = Condition.parse("right_party_91d_count < 0.25 * attempt_91d_count")
    >>> counts = {"right_party_91d_count": [0, 1, 2, 0], "attempt_91d_count": [4, 5, 4, 0]}
    >>> few_answers.holds(lambda name: np.array(counts[name], dtype=float)).tolist()
    [True, True, False, False]
    """

    column: str
    comparison: str
    value: float
    of: str = ""

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition that ``column comparison value`` or ``column comparison value * column`` writes.

        Raises:
            ModelError: the text has another form.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ModelError(
                f"The condition {text!r} cannot be read; write a column, one of {', '.join(_COMPARE)}, a number, and "
                "if wanted '* column', as in 'late_count > 0' or 'answers < 0.25 * attempts'."
            )
        column, comparison, value, of = found.groups()
        return cls(column, comparison, float(value), of or "")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return (self.column, self.of) if self.of else (self.column,)

    def holds(self, read: Callable[[str], np.ndarray]) -> np.ndarray:
        """Per row, whether it is true; ``read`` gives a column as floats with NaN for what is missing."""
        against = self.value * read(self.of) if self.of else self.value
        return np.asarray(_COMPARE[self.comparison](read(self.column), against), dtype=bool)
