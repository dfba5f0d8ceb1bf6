"""Pictures of the model cards as SVG text: axes, lines, dots with intervals, bars. No script, no font from outside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

INK, LINE, PALE, GREY, RED = "#0b6e6e", "#c9a227", "#d5dde3", "#5a6b7b", "#b3261e"
COLOURS = (INK, LINE, "#7a5195", RED)
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 40


@dataclass
class Plot:
    """Axes with what is drawn between them; ``svg`` closes the picture.

    ``log`` draws both axes by powers of ten, for probabilities from a thousandth to a half.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str = ""
    y_label: str = ""
    width: int = 430
    height: int = 280
    log: bool = False
    x_names: Sequence[str] = ()
    parts: list[str] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a point in pixels; what lies beyond an axis is drawn at its end."""
        return (
            LEFT + self._share(x, self.x) * (self.width - LEFT - RIGHT),
            self.height - BOTTOM - self._share(y, self.y) * (self.height - TOP - BOTTOM),
        )

    def line(
        self, points: Sequence[tuple[float, float]], *, colour: str = INK, name: str = "", dashed: bool = False
    ) -> None:
        """Points joined by a line; a name puts it into the legend."""
        places = " ".join(f"{a:.1f},{b:.1f}" for a, b in (self.at(*point) for point in points))
        dash = " stroke-dasharray='5 4'" if dashed else ""
        self.parts.append(f"<polyline points='{places}' stroke='{colour}' stroke-width='2' fill='none'{dash}/>")
        if name:
            self.legend.append((name, colour))

    def dots(
        self, points: Sequence[tuple[float, float, float | None, float | None]], *, colour: str = INK, name: str = ""
    ) -> None:
        """Dots with the whiskers of their intervals: x, y, low, high; an unknown end has no whisker."""
        for x, y, low, high in points:
            a, b = self.at(x, y)
            if low is not None and high is not None:
                (_, bottom), (_, top) = self.at(x, low), self.at(x, high)
                self.parts.append(
                    f"<path d='M{a:.1f} {bottom:.1f}V{top:.1f}M{a - 4:.1f} {bottom:.1f}H{a + 4:.1f}"
                    f"M{a - 4:.1f} {top:.1f}H{a + 4:.1f}' stroke='{colour}' stroke-width='1.3'/>"
                )
            self.parts.append(f"<circle r='3.5' fill='{colour}' cx='{a:.1f}' cy='{b:.1f}'/>")
        if name:
            self.legend.append((name, colour))

    def svg(self) -> str:
        """The picture as text."""
        bottom, right = self.height - BOTTOM, self.width - RIGHT
        axes = [f"<path d='M{LEFT} {TOP}V{bottom}H{right}' stroke='{GREY}' fill='none'/>"]
        for value in self._ticks(self.y):
            _, b = self.at(self.x[0], value)
            axes.append(
                f"<path d='M{LEFT} {b:.1f}H{right}' stroke='{PALE}' stroke-width='0.7'/>"
                f"<text x='{LEFT - 5}' y='{b + 4:.1f}' text-anchor='end'>{tick(value)}</text>"
            )
        if self.x_names:
            step = math.ceil(len(self.x_names) / 6)
            names = [(float(number), name) for number, name in enumerate(self.x_names) if number % step == 0]
        else:
            names = [(value, tick(value)) for value in self._ticks(self.x)]
        for value, name in names:
            a, _ = self.at(value, self.y[0])
            half = 3.5 * len(str(name))  # a letter is about 7 pixels wide: a name at the edge must not be cut
            a = min(max(a, half), self.width - half)
            axes.append(f"<text x='{a:.1f}' y='{bottom + 15}' text-anchor='middle'>{escape(str(name))}</text>")
        middle = (LEFT + right) / 2
        axes.append(
            f"<text x='{middle:.0f}' y='{self.height - 7}' text-anchor='middle' fill='{GREY}'>"
            f"{escape(self.x_label)}</text>"
            f"<text transform='translate(12 {(TOP + bottom) / 2:.0f}) rotate(-90)' text-anchor='middle' fill='{GREY}'>"
            f"{escape(self.y_label)}</text>"
        )
        key = "".join(
            f"<rect x='{right - 178}' y='{bottom - 17 * (len(self.legend) - number) - 2}' width='12' height='4' "
            f"fill='{colour}'/><text x='{right - 160}' y='{bottom - 17 * (len(self.legend) - number) + 4}'>"
            f"{escape(name)}</text>"
            for number, (name, colour) in enumerate(self.legend)
        )
        return _framed(self.width, self.height, "".join(axes) + "".join(self.parts) + key)

    def _share(self, value: float, ends: tuple[float, float]) -> float:
        low, high = ends
        if self.log:
            value, low, high = (math.log10(max(one, 1e-6)) for one in (value, low, high))
        return min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0)

    def _ticks(self, ends: tuple[float, float]) -> list[float]:
        if self.log:
            powers = range(-6, 2)
            return [m * 10.0**e for e in powers for m in (1, 3) if ends[0] <= m * 10.0**e <= ends[1]]
        return nice_ticks(*ends)


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values between two ends, at most ``most`` + 1 of them.

    >>> nice_ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if span <= 0:
        return [low]
    rough = span / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def tick(value: float) -> str:
    """A number on an axis, short: 0.05, 30, 1200."""
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def interval_chart(
    rows: Sequence[tuple[str, float, float, float, bool]],
    *,
    reference: float = 1.0,
    width: int = 620,
    least: float = 0.0,
    most: float = 3.0,
    left: int = 190,
) -> str:
    """One row per group: name, value, low, high, and whether it is flagged; a line at ``reference``.

    Ends of intervals beyond ``least`` and ``most`` are drawn there; ``left`` is the room of the names in pixels.
    """
    low = min([reference, *(max(row[2], least) for row in rows)])
    high = min(max([reference, *(row[3] for row in rows)]) * 1.05, most)
    right, height = width - 160, 20 * len(rows) + 34

    def place(value: float) -> float:
        return left + (min(max(value, low), high) - low) / ((high - low) or 1.0) * (right - left)

    parts = [f"<path d='M{place(reference):.1f} 8V{height - 24}' stroke='{LINE}' stroke-width='2'/>"]
    for number, (name, value, start, end, flagged) in enumerate(rows):
        y, colour = 20 * number + 18, RED if flagged else INK
        parts.append(
            f"<text x='{left - 10}' y='{y + 4}' text-anchor='end'>{escape(name)}</text>"
            f"<path d='M{place(start):.1f} {y}H{place(end):.1f}' stroke='{colour}' stroke-width='2'/>"
            f"<circle r='4' cx='{place(value):.1f}' cy='{y}' fill='{colour}'/>"
            f"<text x='{right + 10}' y='{y + 4}' fill='{colour}'>{value:.2f} ({start:.2f} – {end:.2f})</text>"
        )
    for value in nice_ticks(low, high):
        parts.append(
            f"<text x='{place(value):.1f}' y='{height - 6}' text-anchor='middle' fill='{GREY}'>{tick(value)}</text>"
        )
    return _framed(width, height, "".join(parts))


def line_chart(
    points: Sequence[tuple[float, float]], *, diagonal: bool = False, width: int = 300, height: int = 200
) -> str:
    """Points joined by a line between labelled axes; ``diagonal`` adds the line where both are equal."""
    if not points:
        return ""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    x, y = (min(xs), max(xs)), (min(ys), max(ys))
    if diagonal:
        x = y = (min(x[0], y[0]), max(x[1], y[1]))
    plot = Plot(x, y, width=width, height=height)
    if diagonal:
        plot.line([(x[0], x[0]), (x[1], x[1])], colour=LINE)
    plot.line(points)
    plot.dots([(a, b, None, None) for a, b in points])
    return plot.svg()


def bar_chart(bars: Sequence[tuple[str, float]], *, width: int = 620, limits: Sequence[tuple[float, str]] = ()) -> str:
    """Horizontal bars from zero in the order given; below zero in the other colour; ``limits`` are upright lines."""
    if not bars:
        return ""
    longest = max([abs(value) for _, value in bars] + [limit for limit, _ in limits]) or 1.0
    left, height = 256, 18 * len(bars) + 12
    scale = (width - left - 70) / longest
    parts = []
    for number, (name, value) in enumerate(bars):
        y, length = 18 * number + 14, abs(value) * scale
        parts.append(
            f"<text x='{left - 6}' y='{y}' text-anchor='end'>{escape(name)}</text>"
            f"<rect x='{left}' y='{y - 10}' width='{length:.1f}' height='12' fill='{INK if value >= 0 else LINE}'/>"
            f"<text x='{left + 6 + length:.1f}' y='{y}'>{value:.3g}</text>"
        )
    parts += [
        f"<path d='M{left + limit * scale:.1f} 2V{height - 4}' stroke='{colour}' stroke-dasharray='4 3'/>"
        for limit, colour in limits
    ]
    return _framed(width, height, "".join(parts))


def _framed(width: int, height: int, inside: str) -> str:
    return (
        f"<svg width='{width}' height='{height}' viewBox='0 0 {width} {height}' role='img' font-size='12' "
        f"fill='#1b2733'>{inside}</svg>"
    )
