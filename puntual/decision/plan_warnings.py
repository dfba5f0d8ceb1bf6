"""What the institution asked for in its settings and the day could not use: told, for silence would look like a choice.

A warning stops nothing. Each is one line: ``severity`` (always ``warning``), ``code``, ``text_es``, ``text_en``.
"""

from __future__ import annotations

from datetime import date

from puntual.decision.arms import Arms
from puntual.decision.bands import Bands
from puntual.decision.holiday_calendar import LEAST_OF_A_YEAR, HolidayCalendar
from puntual.decision.policies import PolicySet
from puntual.decision.rule_kinds import WindowRule
from puntual.decision.second import Second
from puntual.hour_bands import LEAST_MINUTES

Line = dict[str, str]


def idle_bands(bands: Bands | None) -> list[Line]:
    """Bands of hours with contacts in which nobody may be contacted today, although the channel is open to somebody.

    Where the rules close the whole channel to everybody, a Sunday or a holiday, its bands are not the reason.
    """
    if bands is None:
        return []
    counts = {limit.name.removeprefix("hours:"): limit.count for limit in bands.limits}
    lines = []
    for position, name in enumerate(bands.names):
        count = counts.get(name, 0)
        is_open = bands.allowed[:, position].any()
        if not count or is_open or not bands.by_channel[:, bands.channel_of[position]].any():
            continue
        channel, band = name.split("@")
        lines.append(
            _line(
                "idle_band",
                f"Franja {band} de {channel}: hoy nadie puede ser contactado en ella al menos {LEAST_MINUTES} minutos, "
                f"y sus {count} contactos quedan sin uso. Las reglas dan otras horas: cámbiela o quítela en "
                f"channels.{channel}.hour_bands de puntual.yaml.",
                f"Band {band} of {channel}: today nobody may be contacted in it for {LEAST_MINUTES} minutes or more, "
                f"and its {count} contacts stay unused. The rules give other hours: change it or take it away in "
                f"channels.{channel}.hour_bands of puntual.yaml.",
            )
        )
    return lines


def unknown_year(holidays: HolidayCalendar, policies: PolicySet, as_of: date) -> list[Line]:
    """Why rules that close holidays close the whole day: the holidays of its year are not known."""
    windows = [entry.rule for entry in policies.rules if isinstance(entry.rule, WindowRule)]
    rules = [rule.id for rule in windows if rule.holidays == "blocked"]
    if as_of.year in holidays.years or not rules:
        return []
    told, year = sum(day.year == as_of.year for day in holidays.dates), as_of.year
    return [
        _line(
            "unknown_holidays",
            f"Feriados de {year}: no se conocen ({told} entregados, se necesitan {LEAST_OF_A_YEAR}), y las reglas que "
            f"cierran los feriados ({', '.join(rules)}) cierran todo día de ese año. Entregue los feriados nacionales "
            "y locales del año en la tabla holidays.",
            f"Holidays of {year}: not known ({told} delivered, {LEAST_OF_A_YEAR} are needed), and the rules that close "
            f"holidays ({', '.join(rules)}) close every day of that year. Deliver the national and local holidays of "
            "the year in the table holidays.",
        )
    ]


def unknown_probabilities(arms: Arms, daily_budget: float | None) -> list[Line]:
    """Why members of experiments have no ``propensity`` on a day with a budget in money and arms that change something.

    The plan of such a day comes without the proof by which it is known what each plan would have done for a member of
    another.
    """
    if daily_budget is None or not arms.is_changed:
        return []
    return [
        _line(
            "unknown_propensity",
            "decision.daily_budget: con un presupuesto en dinero no se sabe qué habría hecho el plan de otro grupo, y "
            "propensity queda vacía para los socios de los experimentos. Para limitar el gasto y conocerla, use "
            "channels.<canal>.daily_budget.",
            "decision.daily_budget: with a budget in money nobody knows what the plan of another arm would have done, "
            "and propensity is empty for the members of experiments. To limit what is spent and know it, use "
            "channels.<channel>.daily_budget.",
        )
    ]


def no_second(second: Second, *, is_model: bool, reached: bool) -> list[Line]:
    """Why two contacts a day were asked for and none is possible: the rules, or no model that would value a second."""
    if not is_model:
        return [
            _line(
                "second_without_model",
                "decision.actions_per_person es 2 y no hay segundos contactos: sin modelo de canales no se sabe "
                "qué valen.",
                "decision.actions_per_person is 2 and there are no second contacts: without a channel model nobody "
                "knows what they are worth.",
            )
        ]
    if not second.ruled_out:
        return []
    rules = ", ".join(second.ruled_out)
    after = "reached" if reached else "attempted"
    return [
        _line(
            "second_ruled_out",
            f"decision.actions_per_person es 2 y las reglas no permiten hoy ningún segundo contacto ({rules}), "
            f"con decision.second_after: {after}. Vuelva a 1, o revise esas reglas y second_after.",
            f"decision.actions_per_person is 2 and the rules in force permit no second contact today ({rules}), "
            f"with decision.second_after: {after}. Go back to 1, or look at those rules and at second_after.",
        )
    ]


def _line(code: str, spanish: str, english: str) -> Line:
    return {"severity": "warning", "code": code, "text_es": spanish, "text_en": english}
