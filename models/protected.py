"""Which column names speak of gender, age or marital state, in Spanish and English, however they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

AGE = frozenset({"age", "edad"})
WORDS = AGE | {
    *("gender", "genero", "sex", "sexo", "female", "male", "mujer", "hombre", "femenino", "masculino"),
    *("birth", "birthdate", "birthday", "birthyear", "dateofbirth", "yearofbirth", "dob", "nacimiento"),
    *("fechanacimiento", "fecnac", "fecnacimiento", "ages", "edades"),
    *("marital", "maritalstatus", "maritalstate", "estadocivil", "civilstatus", "civilstate", "spouse", "conyuge"),
    *("married", "divorced", "widowed", "casado", "casada", "soltero", "soltera", "divorciado", "divorciada"),
    *("viudo", "viuda"),
}
"""A name is refused when one of its words is among these ..."""
PAIRS = frozenset({("estado", "civil"), ("civil", "status"), ("civil", "state"), ("fec", "nac"), ("fecha", "nac")})
"""... or two that follow each other are among these."""
THINGS = frozenset(
    {
        *("account", "arrears", "asset", "branch", "business", "collateral", "company", "contract", "credit", "data"),
        *("debt", "device", "file", "house", "invoice", "loan", "mortgage", "portfolio", "promise", "property"),
        *("vehicle", "cartera", "contrato", "credito", "cuenta", "deuda", "empresa", "factura", "garantia", "hipoteca"),
        *("mora", "negocio", "operacion", "prestamo", "promesa", "vehiculo", "vivienda"),
    }
)
"""The age of one of these is no age of a person: ``loan_age``, ``account_age_days``, ``edad_del_credito`` pass."""
_LINKS = frozenset({"de", "del", "la", "el", "of", "the"})


def is_protected(name: str) -> bool:
    """Whether a column's name has a word for gender, age or marital state.

    Words are what separators, digits and changes of case set apart; accents and case do not matter.

    >>> [is_protected(name) for name in ("Edad", "género", "sexo_socio", "fechaNacimiento", "age_at_loan")]
    [True, True, True, True, True]
    >>> [is_protected(name) for name in ("average", "percentage", "stage", "antiguedad", "loan_age", "edad_de_la_mora")]
    [False, False, False, False, False, False]
    """
    found = words(name)
    if any(pair in PAIRS for pair in pairwise(found)):
        return True
    return any(word in WORDS and not (word in AGE and _of_a_thing(found, at)) for at, word in enumerate(found))


def protected(names: Iterable[str]) -> list[str]:
    """Those of the names that are protected attributes, sorted."""
    return sorted(name for name in names if is_protected(name))


def words(name: str) -> list[str]:
    """The words of a name, without accents and in small letters.

    >>> words("FechaNacimiento_socio2")
    ['fecha', 'nacimiento', 'socio']
    """
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", plain)]


def _of_a_thing(found: list[str], place: int) -> bool:
    """Whether the age at a place is that of a thing: named just before it, or just after it (``edad_del_credito``)."""
    if place and found[place - 1] in THINGS:
        return True
    after = [word for word in found[place + 1 :] if word not in _LINKS]
    linked = len(found) > place + 1 and (found[place] == "edad" or found[place + 1] in _LINKS)
    return linked and bool(after) and after[0] in THINGS
