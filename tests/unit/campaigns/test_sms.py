"""Lengths of text messages, counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puntual.campaigns.sms import GSM_BASIC, GSM_EXTENDED, SmsSize, sms_size, without_accents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", SmsSize("gsm7", 0, 0)),
        ("a" * 160, SmsSize("gsm7", 160, 1)),
        ("a" * 161, SmsSize("gsm7", 161, 2)),
        ("a" * 306, SmsSize("gsm7", 306, 2)),  # 2 x 153
        ("a" * 307, SmsSize("gsm7", 307, 3)),
        ("Peña, ¿qué? ¡Güé!", SmsSize("gsm7", 17, 1)),  # ñ é ü ¿ ¡ are of GSM-7
        ("á" * 70, SmsSize("ucs2", 70, 1)),
        ("á" * 71, SmsSize("ucs2", 71, 2)),
        ("í" * 134, SmsSize("ucs2", 134, 2)),  # 2 x 67
        ("ó" * 135, SmsSize("ucs2", 135, 3)),
        ("ú" + "a" * 69, SmsSize("ucs2", 70, 1)),  # one accent is enough
        ("€" * 80, SmsSize("gsm7", 160, 1)),  # two units each
        ("€" * 81, SmsSize("gsm7", 162, 2)),
        # 152 units, then an escape that would part from its sign: 152 | 2 + 151 = 305 units in 2; one more makes 3.
        ("a" * 152 + "€" + "a" * 151, SmsSize("gsm7", 305, 2)),
        ("a" * 152 + "€" + "a" * 152, SmsSize("gsm7", 306, 3)),
        ("😀" * 35, SmsSize("ucs2", 70, 1)),
        ("😀" * 36, SmsSize("ucs2", 72, 2)),  # 33 fit into 67 units: 33 | 3
    ],
)
def test_units_and_segments(text: str, expected: SmsSize):
    assert sms_size(text) == expected


@pytest.mark.parametrize("sign", "áíóúÁÍÓÚ")
def test_these_spanish_letters_are_not_of_gsm_7(sign: str):
    assert sms_size(sign).encoding == "ucs2"
    assert sms_size(without_accents(sign)).encoding == "gsm7"


@given(st.text(alphabet=sorted(GSM_BASIC | GSM_EXTENDED) + list("áíóúç😀"), max_size=500))
def test_a_longer_text_never_has_fewer_segments_and_each_segment_holds_its_units(text: str):
    size = sms_size(text)
    assert size.segments >= sms_size(text[:-1]).segments or sms_size(text[:-1]).encoding != size.encoding
    most = {"gsm7": (160, 153), "ucs2": (70, 67)}[size.encoding]
    if size.segments == 1:
        assert size.units <= most[0]
    elif size.segments:
        assert most[1] * size.segments >= size.units > most[0]
        assert size.units >= (most[1] - 1) * (size.segments - 1)  # a segment is at most one unit short


def test_accents_are_dropped_only_where_the_alphabet_lacks_them():
    assert without_accents("Íñigo Muñoz pagó — ¿sí?") == "Iñigo Muñoz pago - ¿si?"
