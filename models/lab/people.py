"""Members and their contact points: who they are, where they live, how they can be reached.

Everybody is invented. Names are combinations from the lists below; a national id has the right form and check
digit but a running number inside, so that no real person's document is meant; telephone numbers and mail domains are
from running or reserved ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from models.lab.settings import CALL, CHANNELS, EMAIL, IVR, SMS, VISIT, WHATSAPP, WorldSettings

#: name, code in the national id, weight, latitude, longitude, capital, second town, lives by the coastal calendar
PROVINCES: tuple[tuple[str, int, float, float, float, str, str, bool], ...] = (
    ("Tungurahua", 18, 0.17, -1.249, -78.617, "Ambato", "Pelileo", False),
    ("Pichincha", 17, 0.17, -0.220, -78.512, "Quito", "Cayambe", False),
    ("Azuay", 1, 0.13, -2.900, -79.005, "Cuenca", "Gualaceo", False),
    ("Cotopaxi", 5, 0.11, -0.932, -78.615, "Latacunga", "Pujilí", False),
    ("Guayas", 9, 0.11, -2.190, -79.888, "Guayaquil", "Milagro", True),
    ("Chimborazo", 6, 0.08, -1.671, -78.648, "Riobamba", "Guano", False),
    ("Imbabura", 10, 0.08, 0.351, -78.122, "Ibarra", "Otavalo", False),
    ("Manabí", 13, 0.06, -1.055, -80.454, "Portoviejo", "Chone", True),
    ("Loja", 11, 0.05, -3.993, -79.204, "Loja", "Catamayo", False),
    ("Cañar", 3, 0.04, -2.740, -78.848, "Azogues", "La Troncal", False),
)
KICHWA_PROVINCES = frozenset({"Chimborazo", "Cotopaxi", "Imbabura", "Cañar"})

GIVEN_WOMEN = (
    "María", "Rosa", "Ana", "Carmen", "Luz", "Gladys", "Blanca", "Martha", "Mónica", "Verónica", "Patricia", "Diana",
    "Gabriela", "Andrea", "Daniela", "Karina", "Silvia", "Norma", "Mercedes", "Inés", "Lucía", "Nelly", "Sonia",
    "Paola", "Johanna", "Mayra", "Jenny", "Elena", "Fanny", "Cecilia", "Yolanda", "Soledad", "Tránsito", "Narcisa",
)  # fmt: skip
GIVEN_MEN = (
    "José", "Luis", "Carlos", "Juan", "Jorge", "Manuel", "Ángel", "Segundo", "Víctor", "Miguel", "Marco", "Edison",
    "Fausto", "Wilson", "Diego", "Cristian", "Freddy", "Byron", "Iván", "Hernán", "Rodrigo", "Gustavo", "Patricio",
    "Galo", "Milton", "Nelson", "Darwin", "Klever", "Holger", "Vinicio", "Andrés", "Raúl", "Óscar", "Mauricio",
)  # fmt: skip
FAMILY_NAMES = (
    "Guamán", "Chango", "Quispe", "Toapanta", "Morocho", "Caiza", "Paredes", "Sánchez", "Jiménez", "Moreno", "Zambrano",
    "Cedeño", "Vera", "Mendoza", "Macías", "Villacís", "Salazar", "Núñez", "Ortiz", "Pilataxi", "Yánez", "Tituaña",
    "Lema", "Cacuango", "Farinango", "Guerrero", "Maldonado", "Ordóñez", "Peralta", "Cabrera", "Loja", "Sarmiento",
    "Espinoza", "Bravo", "Ponce", "Mera", "Naranjo", "Freire", "Lozada", "Barrionuevo", "Aguirre", "Tapia", "Erazo",
    "Benítez", "Castro", "Chicaiza", "Llumiquinga", "Pillajo", "Quishpe", "Sisa", "Tenesaca", "Uyaguari", "Vásconez",
)  # fmt: skip
STREETS = (
    "Bolívar", "Sucre", "Olmedo", "10 de Agosto", "9 de Octubre", "Eloy Alfaro", "Rocafuerte", "García Moreno",
    "Juan Montalvo", "Los Shyris", "Atahualpa", "Mariscal Lamar", "Simón Bolívar", "Amazonas", "Cevallos",
)  # fmt: skip

#: occupation, share, effect on the willingness to pay, relative income, share of members who dislike being chased
OCCUPATIONS: tuple[tuple[str, float, float, float, float], ...] = (
    ("salaried", 0.36, 0.25, 1.10, 0.8),
    ("merchant", 0.24, -0.05, 1.05, 1.6),
    ("farmer", 0.15, -0.15, 0.70, 0.8),
    ("transport", 0.10, -0.15, 1.15, 1.4),
    ("artisan", 0.08, -0.05, 0.80, 0.8),
    ("retired", 0.07, 0.35, 0.75, 0.3),
)
STATUSES = ("active", "deceased", "dispute", "hardship", "bankrupt", "legal_representation")
STATUS_SHARES = (0.978, 0.004, 0.006, 0.007, 0.002, 0.003)
ACTIVE, DECEASED = 0, 1


@dataclass
class People:
    """Everything that is fixed about the members. One entry per member in every array; money in cents."""

    customer_number: np.ndarray
    province: np.ndarray
    branch: np.ndarray
    branch_province: np.ndarray
    coastal: np.ndarray
    urban: np.ndarray
    woman: np.ndarray
    birth_day: np.ndarray
    occupation: np.ndarray
    income_cents: np.ndarray
    member_since_day: np.ndarray
    kichwa: np.ndarray
    status: np.ndarray
    status_week: np.ndarray
    names: np.ndarray
    national_id: np.ndarray
    # latent: never written, except through what it does
    level: np.ndarray
    reach_lin: np.ndarray
    effect_lin: np.ndarray
    reactant: np.ndarray
    # contact points as they are (works) and as the institution knows them (known)
    works: np.ndarray
    known: np.ndarray
    has_mobile: np.ndarray
    has_second_mobile: np.ndarray
    has_landline: np.ndarray
    has_whatsapp: np.ndarray
    has_email: np.ndarray
    mobile_works: np.ndarray
    mobile_known_bad: np.ndarray
    consent: np.ndarray  # 1 given, 0 refused, -1 not recorded
    latitude: np.ndarray
    longitude: np.ndarray

    @property
    def count(self) -> int:
        """Number of members."""
        return len(self.province)


def national_ids(province_code: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Ten-digit documents: province, a third digit below 6, a running number, and the modulo-10 check digit.

    ``number`` must be below six million and unique within a province. Odd places count double, less nine above nine.
    """
    nine = province_code.astype(np.int64) * 10_000_000 + number.astype(np.int64)
    digits = (nine[:, None] // 10 ** np.arange(8, -1, -1, dtype=np.int64)) % 10
    doubled = digits[:, 0::2] * 2
    total = np.where(doubled > 9, doubled - 9, doubled).sum(axis=1) + digits[:, 1::2].sum(axis=1)
    document = nine * 10 + (-total) % 10
    return np.char.zfill(document.astype("U10"), 10)


def make_people(members: int, rng: np.random.Generator, *, as_of: date, weeks: int, settings: WorldSettings) -> People:
    """Draw ``members`` people. Small cooperatives work in three provinces, large ones in ten."""
    n = members
    province_count = int(np.clip(members // 1500, 3, len(PROVINCES)))
    weight = np.array([row[2] for row in PROVINCES[:province_count]])
    province = rng.choice(province_count, n, p=weight / weight.sum())
    branches_per = np.clip(np.round(weight / weight.sum() * max(members / 900, province_count)), 1, 6).astype(int)
    first_branch = np.concatenate([[0], np.cumsum(branches_per)])
    branch = first_branch[province] + (rng.random(n) * branches_per[province]).astype(int)
    branch_province = np.repeat(np.arange(province_count), branches_per)
    branch_quality = rng.normal(0, 0.12, len(branch_province))

    urban = rng.random(n) < np.array([0.72 if row[7] else 0.58 for row in PROVINCES])[province]
    woman = rng.random(n) < 0.52
    occupation = rng.choice(len(OCCUPATIONS), n, p=[row[1] for row in OCCUPATIONS])
    occupation = np.where((occupation == 2) & urban & (rng.random(n) < 0.7), 1, occupation)
    today = (as_of - date(1970, 1, 1)).days
    age_days = (365.25 * np.clip(rng.gamma(9.0, 4.6, n) + 3, 19, 84)).astype(int)
    age_days = np.where(occupation == 5, np.maximum(age_days, 365 * 62 + rng.integers(0, 4000, n)), age_days)
    tenure_days = np.minimum((rng.gamma(1.6, 1500, n)).astype(int) + 60, age_days - 365 * 17)
    relative = np.array([row[3] for row in OCCUPATIONS])[occupation]
    income = np.exp(rng.normal(6.32, 0.46, n)) * relative * np.where(urban, 1.08, 0.9)
    income = np.clip(income, 90, 12000)

    level = (
        rng.normal(0, settings.level_sd, n)
        - np.where(rng.random(n) < 0.07, rng.exponential(1.4, n), 0.0)
        + np.array([row[2] for row in OCCUPATIONS])[occupation]
        + 0.10 * np.log(income / 550)
        + 0.12 * np.log1p(tenure_days / 700)
        - 0.12
        + branch_quality[branch]
    )

    draw = rng.normal(0, 1, (n, 4))
    age = age_days / 365.25
    phone = draw[:, 0] + 0.25 * (age > 45) - 0.15 * (occupation == 3)
    digital = draw[:, 1] - 0.035 * (age - 42) + 0.25 * urban
    home = draw[:, 2] + np.where(urban, -0.35, 0.35) + 0.5 * (occupation == 5)
    trait = np.empty((n, len(CHANNELS)))
    trait[:, CALL] = phone
    trait[:, IVR] = 0.8 * phone - 0.2
    trait[:, WHATSAPP] = digital
    trait[:, SMS] = 0.6 * digital + 0.4 * phone
    trait[:, EMAIL] = digital + 0.3 * (occupation == 0)
    trait[:, VISIT] = home
    reach_lin = (
        np.array(settings.reach_logit) + np.array(settings.reach_spread) * trait + 0.12 * np.tanh(level)[:, None]
    )

    share = np.clip(settings.reactant_share * np.array([row[4] for row in OCCUPATIONS])[occupation], 0, 0.9)
    reactant = rng.random(n) < share
    common = draw[:, 3] + 0.35 * woman
    own = rng.normal(0, 1, (n, len(CHANNELS)))
    effect_lin = np.maximum(1 + settings.effect_spread * (0.8 * common[:, None] + 0.6 * own), 0)

    has_mobile = rng.random(n) < 0.965
    mobile_works = has_mobile & (rng.random(n) < 0.93)
    mobile_known_bad = has_mobile & ~mobile_works & (rng.random(n) < 0.4)
    has_second = mobile_works & (rng.random(n) < 0.10)
    has_landline = rng.random(n) < np.where(urban, 0.20, 0.06)
    has_whatsapp = has_mobile & (rng.random(n) < np.clip(0.88 + 0.05 * digital, 0.3, 0.99))
    has_email = rng.random(n) < np.clip(0.48 + 0.12 * digital, 0.05, 0.95)
    email_works = has_email & (rng.random(n) < 0.93)
    address_works = rng.random(n) < 0.96
    consent = np.where(rng.random(n) < 0.955, 1, np.where(rng.random(n) < 0.6, 0, -1))
    works = np.zeros((n, len(CHANNELS)), bool)
    works[:, CALL] = mobile_works | has_landline
    works[:, IVR] = mobile_works
    works[:, WHATSAPP] = mobile_works & has_whatsapp
    works[:, SMS] = mobile_works
    works[:, EMAIL] = email_works
    works[:, VISIT] = address_works
    known = np.ones((n, len(CHANNELS)), bool)
    mobile_usable = has_mobile & ~mobile_known_bad
    known[:, CALL] = mobile_usable | has_landline
    for channel in (IVR, SMS):
        known[:, channel] = mobile_usable
    known[:, WHATSAPP] = mobile_usable & has_whatsapp & (consent != 0)
    known[:, EMAIL] = has_email & (consent != 0)

    status = rng.choice(len(STATUSES), n, p=STATUS_SHARES)
    status_week = np.where(status == ACTIVE, weeks + 10_000, weeks - 1 - (rng.random(n) * 40).astype(int))

    lat = np.array([row[3] for row in PROVINCES])[province]
    lon = np.array([row[4] for row in PROVINCES])[province]
    spread = np.where(urban, 0.045, 0.16)
    latitude = np.round(lat + rng.normal(0, 1, n) * spread, 6)
    longitude = np.round(lon + rng.normal(0, 1, n) * spread, 6)

    number = np.empty(n, np.int64)
    for position in range(province_count):
        here = np.flatnonzero(province == position)
        number[here] = np.arange(len(here)) + 1
    code = np.array([row[1] for row in PROVINCES])[province]

    given = np.where(
        woman,
        np.array(GIVEN_WOMEN, object)[rng.integers(0, len(GIVEN_WOMEN), n)],
        np.array(GIVEN_MEN, object)[rng.integers(0, len(GIVEN_MEN), n)],
    )
    second = np.where(
        woman,
        np.array(GIVEN_WOMEN, object)[rng.integers(0, len(GIVEN_WOMEN), n)],
        np.array(GIVEN_MEN, object)[rng.integers(0, len(GIVEN_MEN), n)],
    )
    family = np.array(FAMILY_NAMES, object)
    father, mother = family[rng.integers(0, len(family), n)], family[rng.integers(0, len(family), n)]
    names = given + " " + second + " " + father + " " + mother

    province_name = np.array([row[0] for row in PROVINCES], object)[province]
    kichwa = np.isin(province_name, list(KICHWA_PROVINCES)) & ~urban & (rng.random(n) < 0.22)
    return People(
        customer_number=np.arange(n) + 1,
        province=province,
        branch=branch,
        branch_province=branch_province,
        coastal=np.array([row[7] for row in PROVINCES])[province],
        urban=urban,
        woman=woman,
        birth_day=today - age_days,
        occupation=occupation,
        income_cents=np.round(income * 100).astype(np.int64),
        member_since_day=today - tenure_days,
        kichwa=kichwa,
        status=status,
        status_week=status_week,
        names=names,
        national_id=national_ids(code, number),
        level=level,
        reach_lin=reach_lin,
        effect_lin=effect_lin,
        reactant=reactant,
        works=works,
        known=known,
        has_mobile=has_mobile,
        has_second_mobile=has_second,
        has_landline=has_landline,
        has_whatsapp=has_whatsapp,
        has_email=has_email,
        mobile_works=mobile_works,
        mobile_known_bad=mobile_known_bad,
        consent=consent,
        latitude=latitude,
        longitude=longitude,
    )


def day_of(value: date) -> int:
    """Days since 1970-01-01, the time axis of the simulator."""
    return (value - date(1970, 1, 1)).days


def date_of(day: int) -> date:
    """The date of a day number."""
    return date(1970, 1, 1) + timedelta(days=int(day))
