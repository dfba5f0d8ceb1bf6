"""Figures from small frames: what is drawn, in which order, how it is written, and whether colours differ."""

import itertools

import pandas as pd
import pytest

from dashboards import charts
from dashboards.language import load_texts

ES, EN = load_texts("es"), load_texts("en")
BUCKETS = pd.DataFrame(
    {
        "bucket_code": ["0", "1-5", "31-60"],
        "bucket_rank": [0, 1, 4],
        "label_es": ["Al día", "1 a 5 días", "31 a 60 días"],
        "label_en": ["Current", "1 to 5 days", "31 to 60 days"],
        "loan_count": [900, 12, 3],
        "outstanding_principal_amount": [1_000_000.0, 20_000.5, 9_000.0],
        "arrears_amount": [0.0, 1_234.5, 3_703.5],
    }
)
# 1 000 + 300 + 50 - 20 - 400 - 80 - 10 = 840
MOVEMENT = pd.DataFrame(
    {
        "step": ["opening", "new", "increased", "reduced", "cured", "written_off", "closed", "closing"],
        "amount": [1000.0, 300.0, 50.0, -20.0, -400.0, -80.0, -10.0, 840.0],
    }
)
BY_DATE = pd.DataFrame(
    {
        "as_of_date": pd.to_datetime(["2026-04-30", "2026-05-31", "2026-06-30"]),
        "par30_rate": [0.07, 0.08, 0.0746],
        "par90_rate": [0.02, 0.025, 0.03],
        "arrears_amount": [100_000.0, 120_000.0, 110_000.4],
    }
)


def test_buckets_leave_out_the_current_one_and_keep_the_order_of_the_ladder():
    figure = charts.arrears_by_bucket(BUCKETS, measure="arrears_amount", texts=ES, currency="USD")
    bars = figure.data[0]
    assert list(bars.y) == ["1 a 5 días", "31 a 60 días"]
    assert list(bars.x) == [1_234.5, 3_703.5]
    assert figure.layout.yaxis.autorange == "reversed"


def test_bucket_figures_are_written_in_the_readers_language_with_their_unit():
    spanish = charts.arrears_by_bucket(BUCKETS, measure="arrears_amount", texts=ES, currency="USD")
    english = charts.arrears_by_bucket(BUCKETS, measure="loan_count", texts=EN, currency="USD")
    assert list(spanish.data[0].text) == ["1.235", "3.704"]
    assert spanish.layout.xaxis.title.text == "USD"
    assert list(english.data[0].y) == ["1 to 5 days", "31 to 60 days"]
    assert english.layout.xaxis.title.text == "loans"
    # 1 234.5 of 4 938 is a quarter
    assert spanish.data[0].customdata[0][3].replace("\u00a0", " ") == "25,0 %"


def test_bridge_starts_at_opening_ends_at_closing_and_signs_every_step():
    figure = charts.arrears_bridge(MOVEMENT, texts=ES, currency="USD")
    bridge = figure.data[0]
    assert list(bridge.measure) == ["absolute", *["relative"] * 6, "total"]
    assert list(bridge.text) == ["1.000", "+300", "+50", "−20", "−400", "−80", "−10", "840"]
    assert bridge.y[0] == "Mora inicial"
    # the highest point is 1 000 + 300 + 50
    assert figure.layout.xaxis.range[1] == pytest.approx(1350 * 1.22)


def test_bridge_refuses_steps_that_do_not_go_from_opening_to_closing():
    with pytest.raises(ValueError, match="from opening to closing"):
        charts.arrears_bridge(MOVEMENT.iloc[:-1], texts=ES, currency="USD")


def test_trend_names_its_lines_and_ends_at_the_newest_date():
    figure = charts.risk_trend(BY_DATE, texts=ES)
    assert [line.name for line in figure.data] == ["PAR30", "PAR90"]
    assert [note.text.replace("\u00a0", " ") for note in figure.layout.annotations] == [
        "<b>PAR30</b><br>7,5 %",
        "<b>PAR90</b><br>3,0 %",
    ]
    assert figure.layout.xaxis.ticktext[-1] == "30 jun<br>2026"


def test_names_of_close_lines_are_moved_apart():
    far = charts.risk_trend(BY_DATE, texts=ES).layout.annotations
    close = charts.risk_trend(BY_DATE.assign(par90_rate=BY_DATE["par30_rate"] - 0.002), texts=ES).layout.annotations
    assert [note.yshift for note in far] == [0, 0]
    assert close[0].yshift - close[1].yshift > 30


def test_newest_amount_stands_out_and_is_written():
    figure = charts.amount_trend(BY_DATE, texts=EN, currency="USD")
    assert list(figure.data[0].marker.color)[-1] == charts.PRIMARY
    assert figure.layout.annotations[0].text == "<b>110,000</b>"


def test_channels_keep_the_order_they_come_in():
    summary = pd.DataFrame(
        {
            "channel_code": ["call", "sms"],
            "label_es": ["Llamada", "SMS"],
            "label_en": ["Call", "SMS"],
            "contact_count": [1200, 30],
            "gain": [5000.0, 10.0],
        }
    )
    figure = charts.contacts_by_channel(summary, texts=ES, currency="USD")
    assert list(figure.data[0].y) == ["Llamada", "SMS"]
    assert list(figure.data[0].text) == ["1.200", "30"]


@pytest.mark.parametrize("rows", [0, 1])
def test_figures_stand_with_no_row_or_one(rows):
    charts.arrears_by_bucket(BUCKETS.iloc[:rows], measure="loan_count", texts=ES, currency="USD")
    charts.risk_trend(BY_DATE.iloc[:rows], texts=ES)
    charts.amount_trend(BY_DATE.iloc[:rows], texts=ES, currency="USD")


def test_a_portfolio_without_arrears_still_has_axes():
    calm = BUCKETS.assign(arrears_amount=0.0)
    figure = charts.arrears_by_bucket(calm, measure="arrears_amount", texts=ES, currency="USD")
    assert list(figure.layout.xaxis.range) == [0, 1]
    charts.arrears_bridge(MOVEMENT.assign(amount=0.0), texts=ES, currency="USD")


def linear(colour: str) -> tuple[float, float, float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def luminance(colour: str) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# Viénot, Brettel and Mollon (1999): what a reader without red or without green cones sees, in linear RGB.
BLINDNESS = {
    "protanopia": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deuteranopia": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_that_mean_different_things_differ_for_colour_blind_readers(kind):
    def seen(colour):
        return [sum(w * c for w, c in zip(row, linear(colour), strict=True)) for row in BLINDNESS[kind]]

    meanings = [charts.UP, charts.DOWN, charts.TOTAL]
    for one, other in itertools.combinations(meanings, 2):
        assert sum((a - b) ** 2 for a, b in zip(seen(one), seen(other), strict=True)) ** 0.5 > 0.12
    assert sum((a - b) ** 2 for a, b in zip(seen(charts.PRIMARY), seen(charts.SECONDARY), strict=True)) ** 0.5 > 0.12


@pytest.mark.parametrize("colour", [charts.INK, charts.QUIET, *charts.TEXT_OF.values()])
def test_text_colours_reach_the_contrast_that_readers_need_on_white(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_ladder_darkens_step_by_step():
    def grey(colour):
        return sum(int(part) for part in colour[4:-1].split(","))

    steps = charts.ladder_colours(9)
    assert [grey(one) > grey(other) for one, other in itertools.pairwise(steps)] == [True] * 8
