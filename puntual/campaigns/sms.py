"""How long a text message is, as the network counts it: alphabet, units, and the segments that are billed.

GSM 03.38 holds é, ñ, ü, ¿ and ¡ but not á, í, ó or ú: one of those turns the whole message into UCS-2, of which 70
fit into one message instead of 160. What is longer goes out in several, each with a header: 153 or 67 units.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("^{}\\[~]|€\f")
"""These cost two units: an escape goes before each."""

_ALONE = {"gsm7": 160, "ucs2": 70}
_JOINED = {"gsm7": 153, "ucs2": 67}
_LOOKALIKES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ",
                             "\u202f": " "})  # fmt: skip


@dataclass(frozen=True)
class SmsSize:
    """``units``: septets of GSM-7, 16-bit units of UCS-2. ``segments``: messages that are billed; 0 for no text."""

    encoding: Literal["gsm7", "ucs2"]
    units: int
    segments: int


def sms_size(text: str) -> SmsSize:
    """The size of a text message.

    Neither the escape of an extended character nor the two halves of one beyond the basic plane are parted by the end
    of a segment, so a segment may end one unit early.

    >>> sms_size("Su pago de USD 10"), sms_size("día")
    (SmsSize(encoding='gsm7', units=17, segments=1), SmsSize(encoding='ucs2', units=3, segments=1))
    """
    is_gsm = all(sign in GSM_BASIC or sign in GSM_EXTENDED for sign in text)
    encoding: Literal["gsm7", "ucs2"] = "gsm7" if is_gsm else "ucs2"
    widths = [_width(sign, is_gsm=is_gsm) for sign in text]
    units = sum(widths)
    if units <= _ALONE[encoding]:
        return SmsSize(encoding, units, 1 if text else 0)
    segments, room = 1, _JOINED[encoding]
    for width in widths:
        if width > room:
            segments, room = segments + 1, _JOINED[encoding]
        room -= width
    return SmsSize(encoding, units, segments)


def _width(sign: str, *, is_gsm: bool) -> int:
    if is_gsm:
        return 2 if sign in GSM_EXTENDED else 1
    return 2 if ord(sign) > 0xFFFF else 1


def without_accents(text: str) -> str:
    """The text with every sign that GSM-7 lacks written by its base letter, where it has one; ñ, é and ¿ stay.

    >>> without_accents("María Peña, ¿qué día? – Ángel")
    'Maria Peña, ¿qué dia? - Angel'
    """
    written = []
    for sign in text.translate(_LOOKALIKES):
        if sign in GSM_BASIC or sign in GSM_EXTENDED:
            written.append(sign)
            continue
        base = unicodedata.normalize("NFKD", sign)
        plain = "".join(part for part in base if not unicodedata.combining(part))
        written.append(plain if plain and all(part in GSM_BASIC for part in plain) else sign)
    return "".join(written)
