"""A small, plausible published snapshot: the tables, files and manifest that the pages read.

The book is drawn with a fixed seed; the reports are added up from it here with pandas, so that what the pages show can
be checked against another way of computing it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xlsxwriter

from puntual.clock import month_ends
from puntual.experiments.registry import Experiment, Registered
from puntual.experiments.report import report
from puntual.snapshot import SCREEN_LIST, SCREEN_ROUTES, SCREEN_STOPS
from tests.dashboards.campaign_tables import campaign_tables, with_files, write_campaign_files

AS_OF = date(2026, 6, 30)
BUCKETS = [
    ("0", 0, 0, 0, "Al día", "Current"),
    ("1-5", 1, 1, 5, "1 a 5 días", "1 to 5 days"),
    ("6-15", 2, 6, 15, "6 a 15 días", "6 to 15 days"),
    ("16-30", 3, 16, 30, "16 a 30 días", "16 to 30 days"),
    ("31-60", 4, 31, 60, "31 a 60 días", "31 to 60 days"),
    ("61-90", 5, 61, 90, "61 a 90 días", "61 to 90 days"),
    ("91-120", 6, 91, 120, "91 a 120 días", "91 to 120 days"),
    ("121-180", 7, 121, 180, "121 a 180 días", "121 to 180 days"),
    ("181-360", 8, 181, 360, "181 a 360 días", "181 to 360 days"),
    ("361+", 9, 361, None, "Más de 360 días", "More than 360 days"),
]
CHANNELS = [
    ("call", 1, "Llamada", "Call", False, True, "mobile"),
    ("ivr", 2, "Llamada automática", "Automated call", False, False, "mobile"),
    ("whatsapp", 3, "WhatsApp", "WhatsApp", True, False, "mobile"),
    ("sms", 4, "SMS", "SMS", True, False, "mobile"),
    ("email", 5, "Correo electrónico", "Email", True, False, "email"),
    ("visit", 6, "Visita", "Visit", False, True, "address"),
]
OUTCOMES = [
    ("answered", "Contestó", "Answered"),
    ("no_answer", "No contestó", "No answer"),
    ("promise", "Prometió pagar", "Promised to pay"),
    ("delivered", "Entregado", "Delivered"),
]
# kpi_code, parent, family, labels, unit, grains, direction, target, amber, red, kind, status, rank
KPIS = [
    ("K01", None, "portfolio", "Cartera bruta", "Gross portfolio", "amount", "total|branch|product", "up", None, None, None, "official", "on", 100),
    ("K08_30", None, "portfolio", "PAR30", "PAR30", "share", "total|branch|product", "down", 0.05, 0.08, 0.1, "derived", "on", 200),
    ("K08_90", "K08_30", "portfolio", "PAR90", "PAR90", "share", "total|branch|product", "down", 0.03, 0.05, 0.08, "derived", "on", 201),
    ("K10_COUNT", None, "portfolio", "Operaciones en mora", "Loans past due", "count", "total|branch|product", "none", None, None, None, "derived", "on", 300),
    ("K11", None, "portfolio", "Distribución por tramo", "Distribution over buckets", "share", "total", "none", None, None, None, "derived", "on", 400),
    ("K24_RATE", None, "portfolio", "Tasa de provisión", "Provision rate", "share", "total", "down", None, None, None, "derived", "on", 500),
    ("K24_GAP", "K24_RATE", "portfolio", "Brecha de provisión", "Provision gap", "amount", "total", "up", None, None, None, "derived", "off", 501),
    ("K12", None, "movement", "Matriz de transición", "Roll-rate matrix", "share", "total", "none", None, None, None, "analytic", "on", 600),
    ("K17", None, "movement", "Días hasta la cura", "Days to cure", "share", "total", "none", None, None, None, "analytic", "on", 700),
    ("K18", None, "movement", "Cosechas", "Vintages", "share", "total", "none", None, None, None, "analytic", "on", 800),
    ("K33", None, "recovery", "Tasa de recuperación", "Recovery rate", "share", "total", "up", 0.6, 0.5, 0.4, "derived", "on", 900),
]  # fmt: skip
BRANCHES = [("B1", "Matriz Cuenca"), ("B2", "Azogues"), ("B3", "Gualaceo"), ("B4", "Loja Centro")]
PRODUCTS = ("consumer", "microcredit", "housing", "education")
COLLECTORS = [("C01", "Ana Torres Peña"), ("C02", "José Núñez"), ("C03", "María Belén Ordóñez"), ("C04", "Luis Guamán")]
NAMES = ("Ana", "Luis", "María José", "Carlos", "Rosa", "Segundo", "Zoila", "Ángel", "Íngrid", "Wilson")
SURNAMES = ("Guamán", "Pérez", "Ñauta", "Cárdenas", "Torres", "Quizhpe", "Vázquez", "Ochoa", "Sánchez", "Morocho")


@dataclass
class SnapshotFactory:
    """Writes a home with one published snapshot.

    Attributes:
        loans: how many loans the book has; 0 is an institution without a portfolio.
        has_contacts: False when nobody was chosen today.
        as_of: business date.
        without: published tables that are left out.
        channel_model: the manifest's entry.
        hostile_name: a name for the first contact, to see that data is never read as markup.
    """

    loans: int = 1500
    has_contacts: bool = True
    as_of: date = AS_OF
    without: tuple[str, ...] = ()
    channel_model: dict[str, Any] = field(default_factory=lambda: {"status": "on", "reason": ""})
    hostile_name: str | None = None

    def write(self, home: Path) -> Path:
        """The folder of the snapshot that is now published in ``home``."""
        folder = home / "published" / f"{self.as_of.isoformat()}_{self.loans:06d}"
        for name in ("bi", "worklists", "campaigns"):
            (folder / name).mkdir(parents=True)
        (home / "puntual.yaml").write_text("institution: {}\n", encoding="utf-8")
        book = self._book()
        tables = self._tables(book)
        for name, frame in tables.items():
            if name not in self.without:
                path = SCREEN_LIST if name == "worklist" else f"bi/{name}.parquet"
                frame.to_parquet(folder / path, index=False)
        self._write_lists(folder, tables["worklist"])
        self._write_routes(folder)
        manifest = self._manifest(tables) | write_campaign_files(folder, tables["worklist"], self.as_of)
        manifest["files"] = {
            path.relative_to(folder).as_posix(): {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "bytes": path.stat().st_size,
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
        link = home / "published" / ".next"
        link.symlink_to(folder.name)
        link.replace(home / "published" / "current")
        return folder

    def _book(self) -> pd.DataFrame:
        """One row per loan and month end: past-due days wander; balances fall; arrears follow the days."""
        random = np.random.default_rng(11)
        count = self.loans
        customer = random.integers(0, max(1, int(count * 0.86)), count)
        loan = pd.DataFrame(
            {
                "loan_id": [f"L{at:06d}" for at in range(count)],
                "customer_id": [f"M{at:06d}" for at in customer],
                "branch_id": random.choice([code for code, _ in BRANCHES], count, p=[0.4, 0.25, 0.2, 0.15]),
                "product_code": random.choice(PRODUCTS, count, p=[0.42, 0.38, 0.14, 0.06]),
            }
        )
        principal = np.round(random.lognormal(7.9, 0.7, count), 2)
        days = np.zeros(count, dtype=int)
        pieces = []
        dates = month_ends(date(self.as_of.year - 1, self.as_of.month, 1), self.as_of)
        if dates[-1] != self.as_of:
            dates.append(self.as_of)
        for step, day in [*((0, None) for _ in range(18)), *enumerate(dates)]:  # a year and a half before it is shown
            was_late = days > 0
            falls = random.random(count) < 0.07
            luck = random.random(count)
            when_late = np.where(luck < 0.5, days + 30, np.where(luck > 0.62, 0, days))
            days = np.where(was_late, when_late, np.where(falls, random.integers(1, 30, count), 0))
            if day is None:
                continue
            balance = np.round(principal * (1 - 0.018 * step), 2)
            arrears = np.round(np.minimum(balance, balance * 0.045 * np.ceil(days / 30)), 2)
            pieces.append(
                loan.assign(
                    as_of_date=day,
                    loan_status_code="active",
                    past_due_days=days,
                    outstanding_principal_amount=balance,
                    arrears_amount=arrears,
                    is_month_end=day in month_ends(day.replace(day=1), day),
                    is_score=day == self.as_of,
                )
            )
        book = pd.concat(pieces, ignore_index=True)
        codes = [code for code, *_ in BUCKETS]
        edges = [low for _, _, low, *_ in BUCKETS]
        book["bucket_code"] = np.array(codes)[np.searchsorted(edges, book["past_due_days"], side="right") - 1]
        return book

    def _tables(self, book: pd.DataFrame) -> dict[str, pd.DataFrame]:
        worklist = self._worklist(book) if self.has_contacts and len(book) else self._worklist(book).iloc[:0]
        return {
            "fct_loan_as_of": book,
            "rpt_portfolio": book.groupby(
                ["as_of_date", "branch_id", "product_code", "bucket_code"], as_index=False
            ).agg(
                loan_count=("loan_id", "count"),
                customer_count=("customer_id", "nunique"),
                outstanding_principal_amount=("outstanding_principal_amount", "sum"),
                arrears_amount=("arrears_amount", "sum"),
            ),
            "rpt_arrears_movement": movement_of(book),
            "dpd_buckets": pd.DataFrame(
                BUCKETS, columns=["bucket_code", "bucket_rank", "min_days", "max_days", "label_es", "label_en"]
            ),
            "channels": pd.DataFrame(
                CHANNELS,
                columns=[
                    "channel_code", "rank", "label_es", "label_en",
                    "is_message", "needs_collector", "contact_point_kind",
                ],
            ),
            "dim_branches": pd.DataFrame(BRANCHES, columns=["branch_id", "branch_name"]),
            "outcomes": pd.DataFrame(OUTCOMES, columns=["outcome_code", "label_es", "label_en"]),
            "worklist": worklist,
            **kpi_tables(book, self.as_of),
            **audit_tables(book, worklist, self.as_of),
            "rpt_experiments": experiment_table(self.as_of),
            **campaign_tables(worklist, self.as_of),
        }  # fmt: skip

    def _worklist(self, book: pd.DataFrame) -> pd.DataFrame:
        random = np.random.default_rng(5)
        late = (
            book[book["is_score"] & (book["past_due_days"] > 0)].drop_duplicates("customer_id").reset_index(drop=True)
        )
        count = len(late)
        channel = random.choice([code for code, *_ in CHANNELS], count, p=[0.34, 0.1, 0.3, 0.14, 0.07, 0.05])
        by_person = np.isin(channel, ["call", "visit"])
        who = random.integers(0, len(COLLECTORS), count)
        people = [COLLECTORS[at] if person else (None, None) for at, person in zip(who, by_person, strict=True)]
        gain = np.round(late["arrears_amount"] * random.uniform(0.02, 0.3, count), 2)
        names = [f"{SURNAMES[a]} {SURNAMES[b]} {NAMES[c]}" for a, b, c in random.integers(0, len(NAMES), (count, 3))]
        frame = pd.DataFrame(
            {
                "as_of_date": self.as_of,
                "collector_id": [code for code, _ in people],
                "collector_name": [name for _, name in people],
                "customer_id": late["customer_id"],
                "full_name": names,
                "national_id_masked": [f"01******{at % 90 + 10}" for at in range(count)],
                "channel_code": channel,
                "contact_value_masked": ["•••• 4" + f"{at % 900 + 100}" for at in range(count)],
                "loan_id": late["loan_id"],
                "product_code": late["product_code"],
                "branch_id": late["branch_id"],
                "arrears_amount": late["arrears_amount"],
                "past_due_days": late["past_due_days"],
                "bucket_code": late["bucket_code"],
                "window_start_local": "08:00",
                "window_end_local": "18:00",
                "suggested_hour_local": np.where(by_person, "10:00", ""),
                "expected_gain_amount": gain,
                "default_probability": np.round(random.beta(2, 6, count), 4),
                "is_exploration": random.random(count) < 0.05,
                "reasons": "Tiene cuotas vencidas hoy. Suele pagar cuando le llaman. Nadie le contacta hace 28 días.",
                "reasons_en": "Has overdue instalments today. Usually pays when called. No contact for 28 days.",
            }
        )
        frame = frame.sort_values(["expected_gain_amount", "customer_id"], ascending=[False, True], ignore_index=True)
        frame.insert(1, "rank", frame.groupby("collector_id", dropna=False).cumcount() + 1)
        frame["file"] = [
            None if code is None or pd.isna(code) else f"worklists/{code}.xlsx" for code in frame["collector_id"]
        ]
        if self.hostile_name is not None and count:
            frame.loc[0, "full_name"] = self.hostile_name
        return with_files(frame, self.as_of)

    def _write_lists(self, folder: Path, worklist: pd.DataFrame) -> None:
        for code, rows in worklist.dropna(subset="collector_id").groupby("collector_id"):
            with xlsxwriter.Workbook(str(folder / "worklists" / f"{code}.xlsx")) as book:
                sheet = book.add_worksheet("Lista")
                sheet.write_row(0, 0, ["N.º", "Socio", "Monto vencido"])
                for at, row in enumerate(rows.itertuples(), start=1):
                    sheet.write_row(at, 0, [row.rank, row.full_name, row.arrears_amount])
            rows[["rank", "customer_id"]].to_csv(folder / "worklists" / f"{code}.csv", index=False)
        content = worklist[["rank", "customer_id", "full_name", "arrears_amount"]].to_csv(index=False, sep=";")
        (folder / "worklists" / "all.csv").write_bytes(b"\xef\xbb\xbf" + content.encode())

    def _write_routes(self, folder: Path) -> None:
        """Two collectors: three visits in a route and one without a place; a day that begins with its first visit."""
        if not self.has_contacts:
            return
        stops = pd.DataFrame(
            {
                "as_of_date": self.as_of,
                "collector_id": ["C01"] * 4 + ["C02"],
                "collector_name": ["Ana Torres Peña"] * 4 + ["José Núñez"],
                "route_order": [1, 2, 3, 4, 1],
                "customer_id": [f"M{number:06d}" for number in range(5)],
                "full_name": [
                    self.hostile_name or "Rosa Guamán",
                    "Luis Pérez",
                    "Zoila Ñauta",
                    "Ana Ochoa",
                    "Íngrid Sánchez",
                ],
                "is_planned": [True, True, True, False, True],
                "reason_es": [None, None, None, "La dirección no tiene coordenadas.", None],
                "reason_en": [None, None, None, "The address has no coordinates.", None],
                "planned_arrival_local": ["08:30", "09:20", "10:40", None, "08:00"],
                "planned_end_local": ["08:50", "09:40", "11:00", None, "08:20"],
                "window_start_local": "07:00",
                "window_end_local": "20:00",
                "leg_km": [4.2, 3.1, 12.5, None, 0.0],
                "latitude_rounded": [-2.9, -2.88, -2.95, None, -2.74],
                "longitude_rounded": [-79.0, -79.02, -79.05, None, -78.85],
            }
        )
        routes = pd.DataFrame(
            {
                "as_of_date": self.as_of,
                "collector_id": ["C01", "C02"],
                "collector_name": ["Ana Torres Peña", "José Núñez"],
                "start_kind": ["branch", "first"],
                "start_name": ["Matriz Cuenca", None],
                "start_latitude_rounded": [-2.9, None],
                "start_longitude_rounded": [-79.01, None],
                "visit_count": [4, 1],
                "planned_count": [3, 1],
                "unfit_count": [0, 0],
                "unplaced_count": [1, 0],
                "departs_local": ["08:15", "08:00"],
                "returns_local": ["11:30", "08:20"],
                "total_km": [27.4, 0.0],
                "travel_minutes": [62, 0],
                "file": ["worklists/routes/C01", "worklists/routes/C02"],
            }
        )
        routes.to_parquet(folder / SCREEN_ROUTES, index=False)
        stops.to_parquet(folder / SCREEN_STOPS, index=False)
        (folder / "worklists" / "routes").mkdir()
        (folder / "worklists" / "routes" / "C01.gpx").write_text("<gpx/>", encoding="utf-8")

    def _manifest(self, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
        worklist = tables["worklist"]
        return {
            "schema_version": "1",
            "as_of_date": self.as_of.isoformat(),
            "run_id": "20260701T031500-4f2a",
            "institution": {
                "name": "Cooperativa Río Claro",
                "country": "EC",
                "currency": "USD",
                "language": "es",
                "timezone": "America/Guayaquil",
            },
            "input_digests": {
                f"{name}.parquet": hashlib.sha256(name.encode()).hexdigest()
                for name in ("customers", "loans", "payments")
            },
            "model_versions": {"contact_channel": "b41d0c9e77a2", "default_risk": "0f6e2a5518cd"},
            "rule_versions": {"EC-BASE": "77aa01c2", "CH-SMS": "12fe9ab0"},
            "row_counts": {name: len(frame) for name, frame in tables.items()},
            "summary": {
                "members_in_arrears": int(worklist["customer_id"].nunique()),
                "par30_rate": 0.07,
                "contacts_by_channel": {key: int(n) for key, n in worklist["channel_code"].value_counts().items()},
                "expected_recovery_amount": float(worklist["expected_gain_amount"].sum()),
                "planned_value_amount": float(worklist["expected_gain_amount"].sum()),
                "dual_bound_amount": float(worklist["expected_gain_amount"].sum()) * 1.0004,
                "gap_rate": 0.0004,
            },
            "channel_model": self.channel_model,
        }


def movement_of(book: pd.DataFrame) -> pd.DataFrame:
    """Arrears between consecutive dates, loan by loan, summed by branch and product.

    Per loan: new = from 0 to something; cured = from something to 0; increased and reduced = the change in between.
    """
    dates = sorted(book["as_of_date"].unique())
    keys = ["branch_id", "product_code"]
    columns = ["opening", "new", "increased", "reduced", "cured", "written_off", "closed", "closing"]
    pieces = []
    for start, end in pairwise(dates):
        before = book[book["as_of_date"] == start].set_index("loan_id")["arrears_amount"]
        now = book[book["as_of_date"] == end].set_index("loan_id")
        change = now["arrears_amount"] - before
        parts = pd.DataFrame(
            {
                "opening": before,
                "new": now["arrears_amount"].where(before == 0, 0.0),
                "increased": change.where((before > 0) & (change > 0), 0.0),
                "reduced": -change.where((now["arrears_amount"] > 0) & (change < 0), 0.0),
                "cured": before.where((now["arrears_amount"] == 0), 0.0),
                "written_off": 0.0,
                "closed": 0.0,
                "closing": now["arrears_amount"],
            }
        )
        summed = parts.join(now[keys]).groupby(keys, as_index=False)[columns].sum().round(2)
        summed = summed.rename(columns={name: f"{name}_amount" for name in columns})
        counted = (parts > 0).astype(int).join(now[keys]).groupby(keys, as_index=False)[columns].sum()
        counted = counted.rename(columns={name: f"{name}_count" for name in columns})
        summed = summed.merge(counted, on=keys)
        pieces.append(summed.assign(from_date=start, as_of_date=end))
    if not pieces:
        return pd.DataFrame(
            columns=[
                "from_date",
                "as_of_date",
                *keys,
                *(f"{name}_{end}" for end in ("amount", "count") for name in columns),
            ]
        )
    return pd.concat(pieces, ignore_index=True)


def kpi_tables(book: pd.DataFrame, as_of: date) -> dict[str, pd.DataFrame]:
    """The catalogue, the long table of figures and where each KPI stands."""
    keys = ["branch_id", "product_code", "segment_code", "bucket_code", "collector_id", "agency", "channel_code",
            "campaign_id", "province"]  # fmt: skip
    catalog = pd.DataFrame(
        [
            {
                "kpi_code": code, "parent_code": parent, "family": family, "label_es": es, "label_en": en,
                "description_es": f"Qué es {es}.", "description_en": f"What {en} is.", "formula_es": "a / b",
                "formula_en": "a / b", "numerator": "a", "denominator": "b", "unit": unit, "format": "0", "grains": grains,
                "additivity": "non_additive", "direction": direction, "target": target, "amber": amber, "red": red,
                "source": "SEPS", "inputs": "loans", "kind": kind, "status": status,
                "off_reason_es": "El contrato no trae la cuenta 1499." if status == "off" else None,
                "off_reason_en": "The contract has no account 1499." if status == "off" else None, "kpi_rank": rank,
            }
            for code, parent, family, es, en, unit, grains, direction, target, amber, red, kind, status, rank in KPIS
        ]
    )  # fmt: skip
    rows: list[dict[str, Any]] = []

    def add(
        day: date, code: str, grain: str, over: float, under: float, detail: str | None = None, **named: str
    ) -> None:
        rows.append({"as_of_date": day, "period_code": "month", "kpi_code": code, "grain_code": grain,
                     **dict.fromkeys(keys), **named, "detail_code": detail, "numerator": float(over),
                     "denominator": float(under), "value": over / under if under else None})  # fmt: skip

    groups: list[tuple[str, str | None]] = [("total", None), ("branch", "branch_id"), ("product", "product_code")]
    for day, of_day in book.groupby("as_of_date"):
        for grain, column in groups:
            for code, part in [("", of_day)] if column is None else of_day.groupby(column):
                named = {} if column is None else {column: code}
                owed, days = part["outstanding_principal_amount"], part["past_due_days"]
                add(day, "K01", grain, owed.sum(), 1, **named)
                add(day, "K08_30", grain, owed[days > 30].sum(), owed.sum(), **named)
                add(day, "K08_90", grain, owed[days > 90].sum(), owed.sum(), **named)
                add(day, "K10_COUNT", grain, int((days > 0).sum()), 1, **named)
        owed = of_day["outstanding_principal_amount"]
        add(day, "K24_RATE", "total", owed.sum() * 0.02, 0 if day.month % 4 == 1 else owed.sum())  # sometimes no ratio
        for code, part in of_day.groupby("bucket_code"):
            add(day, "K11", "total", part["outstanding_principal_amount"].sum(), owed.sum(), detail=code)
    if len(book):
        for before, *_ in BUCKETS[:4]:
            for after, share in (("0", 0.6), ("1-5", 0.1), ("6-15", 0.2), ("paid_off", 0.1)):
                add(as_of, "K12", "total", share, 1, detail=f"{before}>{after}")
        for cohort in range(1, 7):
            for age in range(7 - cohort):
                add(as_of, "K18", "total", 0.01 * age * cohort, 1, detail=f"2026-{cohort:02d}|{age}")
        for days in range(0, 60, 5):
            add(as_of, "K17", "total", 60 - days, 60, detail=str(days))
    columns = [
        "as_of_date",
        "period_code",
        "kpi_code",
        "grain_code",
        *keys,
        "detail_code",
        "numerator",
        "denominator",
        "value",
    ]
    figures = pd.DataFrame(rows, columns=columns).astype(
        {**dict.fromkeys(["kpi_code", "grain_code", "period_code", "detail_code", *keys], object), "numerator": float,
         "denominator": float, "value": float}
    )  # fmt: skip
    for name in [*keys, "detail_code"]:
        figures[name] = figures[name].where(figures[name].notna(), None).astype(pd.StringDtype())
    spoken = set(figures["kpi_code"])
    status = pd.DataFrame(
        {
            "as_of_date": as_of,
            "kpi_code": catalog["kpi_code"],
            "status_code": [
                "off" if state == "off" else "on" if code in spoken else "no_data"
                for code, state in zip(catalog["kpi_code"], catalog["status"], strict=True)
            ],
        }
    )
    status["reason_es"] = status["status_code"].map(
        {"off": "El contrato no trae la cuenta 1499.", "no_data": "No hay casos."}
    )
    status["reason_en"] = status["status_code"].map(
        {"off": "The contract has no account 1499.", "no_data": "No cases."}
    )
    warned = status["kpi_code"] == "K24_RATE"
    status["warning_es"] = np.where(warned, "Usa la tabla EC-P1: confírmela con la norma vigente.", None)
    status["warning_en"] = np.where(warned, "Uses table EC-P1: confirm it against the text in force.", None)
    return {"fct_kpi": figures, "kpi_catalog": catalog, "kpi_status": status}


def experiment_table(as_of: date) -> pd.DataFrame:
    """A hold-out of 100 of 500 members who entered 41 days ago; the others paid 6 more within a week."""
    one = Experiment.model_validate(
        {
            "id": "reserva", "title": {"es": "Grupo de reserva", "en": "Hold-out"}, "salt": "s", "control": "held",
            "arms": [{"code": "product", "share": 0.8, "policy": "puntual", "changes": {"decision.provision_weight": 1.0}}, {"code": "held", "share": 0.2, "policy": "hold_out"}],
            "start": as_of - timedelta(days=41), "end": as_of + timedelta(days=30), "metric": {"window_days": 7},
        }
    )  # fmt: skip
    arm = np.where(np.arange(500) % 5 == 0, "held", "product")
    members = pd.DataFrame({"customer_id": [f"E{at}" for at in range(500)], "arm_code": arm})
    members = members.assign(experiment_id="reserva", entered_date=one.start)
    paid = pd.DataFrame(
        {
            "customer_id": members["customer_id"], "paid_date": pd.Timestamp(one.start + timedelta(days=2)),
            "payment_amount": np.where(np.arange(500) % 2 == 0, 40.0, 20.0) + 6.0 * (arm == "product"),
        }
    )  # fmt: skip
    return report([Registered(one, 0.0, 1.0, Path("reserva.yaml"))], members, paid, as_of)


def audit_tables(book: pd.DataFrame, worklist: pd.DataFrame, as_of: date) -> dict[str, pd.DataFrame]:
    """What auditors ask for, of the first loans of the book."""
    now = book[book["as_of_date"] == as_of].reset_index(drop=True)
    some = now.head(40)
    count = len(some)
    agrees = np.arange(count) % 4 != 0
    cause = np.where(agrees, None, np.where(np.arange(count) % 8 == 0, "unknown", "missing_payment"))
    difference = np.where(agrees, 0.0, 10.5)
    loans = pd.DataFrame(
        {
            "as_of_date": as_of, "loan_id": some["loan_id"], "customer_id": some["customer_id"],
            "branch_id": some["branch_id"], "product_code": some["product_code"], "arrears_amount": some["arrears_amount"],
            "core_arrears_amount": some["arrears_amount"] + difference, "arrears_difference_amount": difference,
            "outstanding_principal_amount": some["outstanding_principal_amount"],
            "core_outstanding_principal_amount": some["outstanding_principal_amount"],
            "outstanding_principal_difference_amount": 0.0, "past_due_days": some["past_due_days"],
            "core_past_due_days": some["past_due_days"], "is_compared": True, "is_reconciled": agrees,
            "is_explained": agrees | (cause == "missing_payment"), "cause_code": pd.array(cause, dtype="string"),
            "evidence": "core_lacks:P1",
        }
    )  # fmt: skip
    causes = pd.DataFrame(
        [
            ("missing_payment", 3, True, "Falta un pago", "Missing payment", "Pida el pago.", "Ask for the payment."),
            ("unknown", 9, False, "Sin explicación", "Unexplained", "Compare con el core.", "Compare with the core."),
        ],
        columns=["cause_code", "rule_no", "is_explained", "label_es", "label_en", "advice_es", "advice_en"],
    )
    found = causes[["cause_code", "rule_no", "is_explained"]].assign(as_of_date=as_of, loan_count=[int((cause == code).sum()) for code in causes["cause_code"]],
                                                                     arrears_difference_amount=10.5, outstanding_principal_difference_amount=0.0)  # fmt: skip
    unexplained = int((cause == "unknown").sum())
    verdict = pd.DataFrame(
        [{"as_of_date": as_of, "status_code": "passed" if count else "not_delivered", "balance_date": as_of,
          "compared_count": count, "reconciled_count": int(agrees.sum()), "explained_count": int((cause == "missing_payment").sum()),
          "unexplained_count": unexplained, "unexplained_share": unexplained / count if count else None,
          "allowed_share": 0.2}]
    )  # fmt: skip
    totals = pd.DataFrame(
        [
            ("loan_balances", "*", "*", "different", 100.0, 110.5),
            ("loan_balances", "B1", "housing", "equal", 50.0, 50.0),
        ],
        columns=["source_code", "branch_id", "product_code", "status_code", "arrears_amount", "core_arrears_amount"],
    )
    totals = totals.assign(
        arrears_difference_amount=totals["core_arrears_amount"] - totals["arrears_amount"], as_of_date=as_of,
        outstanding_principal_amount=900.0, core_outstanding_principal_amount=900.0,
        outstanding_principal_difference_amount=0.0, loan_count=40, core_loan_count=40,
    )  # fmt: skip
    states = np.array(["open", "kept", "partly_kept", "broken"])[np.arange(count) % 4]
    lapsed = np.isin(states, ["partly_kept", "broken"])
    lives = pd.DataFrame(
        {
            "promise_id": [f"P{at:03d}" for at in range(count)], "customer_id": some["customer_id"], "loan_id": some["loan_id"],
            "channel_code": "call", "collector_id": "C01", "made_at": pd.Timestamp(as_of), "made_date": as_of,
            "due_date": as_of, "grace_end_date": as_of, "promised_amount": 100.0, "paid_amount": np.where(states == "kept", 100.0, 0.0),
            "promise_status_code": states, "kept_date": pd.to_datetime(np.where(states == "kept", str(as_of), None)),
            "partly_kept_date": pd.to_datetime(np.where(states == "partly_kept", str(as_of), None)),
            "broken_date": pd.to_datetime(np.where(states == "broken", str(as_of), None)),
            "follow_up_date": pd.to_datetime(np.where(lapsed & (np.arange(count) % 3 == 0), str(as_of), None)),
            "days_to_follow_up": pd.array(np.where(lapsed & (np.arange(count) % 3 == 0), 2, None), dtype="Int64"),
        }
    )  # fmt: skip
    contacts = pd.DataFrame(
        {
            "interaction_id": [f"I{at:03d}" for at in range(count)], "customer_id": some["customer_id"],
            "loan_id": some["loan_id"], "occurred_at": pd.Timestamp(as_of), "occurred_date": as_of, "channel_code": "call",
            "outcome_code": "promise", "collector_id": "C01", "cost_amount": 0.5,
        }
    )  # fmt: skip
    payments = pd.DataFrame(
        {
            "payment_id": [f"Y{at:03d}" for at in range(count)], "customer_id": some["customer_id"], "loan_id": some["loan_id"],
            "paid_date": as_of, "paid_at": pd.Timestamp(as_of), "payment_amount": 55.0, "is_reversal": np.arange(count) % 9 == 8,
            "collector_id": pd.array([None] * count, dtype="string"),
        }
    )  # fmt: skip
    listed = worklist.head(60)
    completion = pd.DataFrame(
        {
            "as_of_date": as_of, "customer_id": listed["customer_id"], "channel_code": listed["channel_code"],
            "collector_id": listed["collector_id"], "list_rank": listed["rank"],
            "completion_code": np.array(["same_day", "later", "other_channel", "not_worked", "pending"])[np.arange(len(listed)) % 5],
            "is_right_party": np.arange(len(listed)) % 2 == 0, "paid_amount": 12.0,
        }
    )  # fmt: skip
    blocked = pd.DataFrame(
        [("CH-SMS/hours", "sms", 80, 30, 25, 20, 0), ("EC-BASE/holiday", "call", 80, 20, 20, 20, 5)],
        columns=["rule_id", "channel_code", "considered_count", "channel_blocked_count", "blocked_count",
                 "blocked_alone_count", "blocked_for_good_count"],
    ).assign(as_of_date=as_of)  # fmt: skip
    unmatched = payments.head(6).assign(as_of_date=as_of, age_days=[1, 10, 45, 120, 200, 3][: len(payments.head(6))],
                                        unmatched_amount=5.0, reason_code="overpaid")  # fmt: skip
    return {
        "fct_loan_reconciliation": loans, "reconciliation_causes": causes, "rpt_reconciliation_causes": found,
        "rpt_reconciliation": verdict, "rpt_reconciliation_totals": totals, "rpt_promise_lives": lives,
        "rpt_contacts": contacts, "fct_payments": payments, "rpt_list_completion": completion,
        "rpt_blocked_contacts": blocked if len(worklist) else blocked.iloc[:0], "rpt_unmatched_payments": unmatched,
    }  # fmt: skip
