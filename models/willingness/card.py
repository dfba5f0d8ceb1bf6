"""The card of a willingness model: from how much it was fitted, and what it says about the book."""

from __future__ import annotations

from typing import Any

from models import cards

WILLINGNESS_CAVEAT = (
    "Salvedad: los parámetros de la disposición a pagar, unos pocos para toda la cartera, se ajustan con todas las "
    "semanas, también las juzgadas; el estado de cada socio usa solo las semanas anteriores a la fecha.",
    "Caveat: the parameters of the willingness to pay, a few for the whole book, are fitted on all weeks, the judged "
    "ones too; each member's state uses only the weeks before the date.",
)
"""For the cards of models that read the willingness, in both languages."""


def render(card: dict[str, Any]) -> str:
    """The card as one HTML page without any outside file; Spanish first, then English."""
    page = cards.Page("Disposición a pagar", "Willingness to pay", str(card["trained_as_of"]))
    parameters = card["parameters"]
    page.facts(
        [
            ("Ajustado con datos hasta", "Fitted on data up to", card["trained_as_of"]),
            ("Semanas", "Weeks", f"{card['first_week']} – {card['last_week']}"),
            ("Socios", "Members", f"{card['member_count']:,}"),
            ("Socios-semana", "Member-weeks", f"{card['row_count']:,}"),
            ("Semanas con pago", "Weeks with a payment", f"{card['paid_share']:.1%}"),
            ("Varianza del nivel", "Variance of the level", f"{parameters['level_variance']:.3f}"),
            ("Persistencia semanal del apuro", "Weekly persistence of trouble", f"{parameters['persistence']:.3f}"),
            ("Varianza del apuro", "Variance of the trouble", f"{parameters['trouble_variance']:.3f}"),
            ("Log loss por socio-semana", "Log loss per member-week", f"{card['metrics']['log_loss']:.4f}"),
        ]
    )
    page.note(
        "El modelo de pago y los parámetros se ajustan con todas las semanas hasta esta fecha; el estado de un socio "
        "en una fecha usa solo las semanas que ya habían terminado.",
        "The pay model and the parameters are fitted on all weeks up to this date; the state of a member on a date "
        "uses only the weeks that had ended by then.",
    )
    return page.html()
