"""Which column names speak of gender, age or marital state, in Spanish and English, however they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

AGE = frozenset({"age", "ages", "edad", "edades"})
WORDS = AGE | {
    *("gender", "genero", "sex", "sexo", "female", "male", "males", "females", "mujer", "hombre", "ismale", "isfemale"),
    *("genders", "generos", "sexes", "sexos", "mujeres", "hombres", "esmujer", "eshombre"),
    *("femenino", "femenina", "femeninos", "femeninas", "masculino", "masculina", "masculinos", "masculinas"),
    *("dob", "yob", "bday", "bdate", "cumpleanos", "cumpleanios", "nacto", "etario", "etaria", "etareo", "etarea"),
    *("marital", "spouse", "conyuge", "conyugal", "married", "divorced", "widowed", "casado", "casada", "concubinato"),
    *("soltero", "soltera", "divorciado", "divorciada", "viudo", "viuda", "casados", "casadas", "solteros", "solteras"),
    *("divorciados", "divorciadas", "viudos", "viudas", "viudez", "widow", "widows", "widower", "widowers"),
    *("matrimonio", "matrimonios", "matrimonial", "marriage", "marstat", "civilst", "conyuges", "spouses"),
}
"""A name is refused when one of its words is among these ..."""
_BORN = re.compile(r"birth|(?<!re)nacim")
"""... or has one of these within it: ``dateofbirth``, ``nacimto``, but not ``renacimiento`` ..."""
_STATUS = ("estado", "est", "edo", "e", "status", "state", "situacion", "sit", "condicion")
_BORN_WHEN = ("fecha", "fec", "fch", "fh", "fe", "f", "dt", "date", "anio", "ano", "year", "mes", "month", "dia", "day")
PAIRS = frozenset(
    {
        *((status, civil) for status in _STATUS for civil in ("civil", "civ")),
        *((civil, status) for status in ("status", "state", "estado") for civil in ("civil", "civ")),
        *((when, "nac") for when in _BORN_WHEN),
        *(("nac", "fecha"), ("nac", "fec"), ("anios", "cumplidos"), ("anos", "cumplidos"), ("years", "old")),
        *(("adulto", "mayor"), ("union", "libre"), ("union", "hecho"), ("civil", "st"), ("mar", "stat")),
    }
)
"""... or two that follow each other, linking words aside, are among these."""
THINGS = frozenset(
    {
        *("account", "arrears", "asset", "branch", "business", "collateral", "company", "contract", "credit", "data"),
        *("debt", "device", "file", "house", "invoice", "loan", "mortgage", "portfolio", "promise", "property"),
        *("vehicle", "cartera", "contrato", "credito", "cuenta", "deuda", "empresa", "factura", "garantia", "hipoteca"),
        *("mora", "negocio", "operacion", "prestamo", "promesa", "saldo", "balance", "vehiculo", "vivienda"),
        *("carteras", "creditos", "cuentas", "deudas", "prestamos", "saldos", "cuota", "cuotas", "obligacion"),
        *("obligaciones", "producto", "tarjeta", "pagare", "vencimiento", "atraso", "installment", "payment"),
        *("delinquency", "pastdue", "accounts", "loans", "debts", "credits"),
    }
)
"""The age of one of these is no age of a person: ``loan_age``, ``account_age_days``, ``edad_del_credito`` pass ..."""
PERSONS = frozenset(
    {
        *("titular", "titulares", "habiente", "habientes", "cliente", "clientes", "socio", "socia", "socios", "socias"),
        *("deudor", "deudora", "deudores", "codeudor", "garante", "fiador", "asociado", "afiliado", "usuario"),
        *("solicitante", "representante", "persona", "personas", "propietario", "dueno", "prestatario"),
        *("customer", "customers", "client", "clients", "member", "members", "borrower", "debtor", "holder", "owner"),
        *("applicant", "guarantor", "person", "user", "cli", "soc"),
    }
)
"""... unless the name has one of these too: ``edad_cuenta_habiente`` and ``age_of_account_holder`` are of a person.

That refuses ``customer_account_age`` as well: a column is renamed in a minute, an age that was learnt from stays.
"""
LINKS = frozenset({"de", "del", "la", "el", "of", "the"})
_BETWEEN = LINKS | {"promedio", "media", "maxima", "minima", "max", "min", "dias", "las", "los"}
_ARREARS = frozenset({"mora", "atraso"})
_WITHIN = frozenset({"en", "por"})
"""Links to arrears alone: ``edad_en_mora`` passes, while ``edad_en_credito`` may be the member's age at the credit."""
_RATING = "calificacion"
"""A thing after the age alone: ``calificacion_edad`` may be what a member's age is rated."""
_OTHERS = frozenset(
    {
        *("cod", "codigo", "code", "cve", "clave", "tipo", "type", "id", "desc", "descripcion", "num", "nro", "actual"),
        *("anios", "anos", "years", "year", "grupo", "group", "rango", "range", "tramo", "band", "bucket", "bin"),
        *("cat", "categoria", "category", "flag", "ind", "cd"),
    }
)
_NO_PART = frozenset({"st", "mar", "stat"})
"""Words of a pair that no other word is taken apart into: ``stage`` has no age."""
_KNOWN = (WORDS | THINGS | PERSONS | LINKS | _OTHERS | frozenset(word for pair in PAIRS for word in pair)) - _NO_PART
"""What a word that is written without a gap (``edadcliente``, ``fechanac``) is taken apart into."""


def is_protected(name: str) -> bool:
    """Whether a column's name has a word for gender, age or marital state.

    Words are what separators, digits and changes of case set apart; accents and case do not matter. One that consists
    wholly of known words is these.

    >>> [is_protected(name) for name in ("Edad", "género", "sexo_socio", "fechaNacimiento", "age_at_loan")]
    [True, True, True, True, True]
    >>> [is_protected(name) for name in ("EST_CIVIL", "EDADSOCIO", "f_nac", "edad_cuenta_habiente")]
    [True, True, True, True]
    >>> [is_protected(name) for name in ("average", "percentage", "stage", "antiguedad", "loan_age", "edad_de_la_mora")]
    [False, False, False, False, False, False]
    """
    return any(_are_protected(split) for split in (words(name), words(name.lower())))


def _are_protected(split: list[str]) -> bool:
    found = [part for word in split for part in _parts(word)]
    if any(_BORN.search(word) for word in found):
        return True
    if any(pair in PAIRS for pair in pairwise(word for word in found if word not in LINKS)):
        return True
    names_a_person = not PERSONS.isdisjoint(found)
    return any(
        word in WORDS and not (word in AGE and not names_a_person and _of_a_thing(found, at))
        for at, word in enumerate(found)
    )


def _parts(word: str) -> list[str]:
    """The known words that a word consists of, as few as do, with a linking one inside alone; else the word itself."""
    if word in _KNOWN:
        return [word]
    # Fewest known words up to each letter; the last letter's are those of the whole word.
    best: list[list[str] | None] = [[], *[None] * len(word)]
    for end in range(1, len(word) + 1):
        for start in range(end):
            before, part = best[start], word[start:end]
            if before is None or part not in _KNOWN or (part in LINKS and (start == 0 or end == len(word))):
                continue
            if best[end] is None or len(before) + 1 < len(best[end] or ()):
                best[end] = [*before, part]
    return best[len(word)] or [word]


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
    if place and (found[place - 1] in THINGS or found[max(place - 2, 0) : place] == ["past", "due"]):
        return True
    after = [word for word in found[place + 1 :] if word not in _BETWEEN]
    if len(after) > 1 and after[0] in _WITHIN and after[1] in _ARREARS:
        after = after[1:]
    is_spanish = found[place] in {"edad", "edades"}
    linked = len(found) > place + 1 and (is_spanish or found[place + 1] in LINKS)
    return linked and bool(after) and (after[0] in THINGS or after[0] == _RATING)
