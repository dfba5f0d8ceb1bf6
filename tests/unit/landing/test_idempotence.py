"""Whatever the order, the repetition and the division into files: raw ends the same, and nothing comes twice."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.landing.conftest import FILES, Cooperative

HEADER, *PAYMENTS = FILES["payments.csv"].splitlines()


@st.composite
def deliveries(draw):
    """Payment lines, each at least once, dealt out to files."""
    lines = draw(st.permutations(PAYMENTS + draw(st.lists(st.sampled_from(PAYMENTS), max_size=3))))
    files = draw(st.lists(st.integers(0, 2), min_size=len(lines), max_size=len(lines)))
    return [[line for line, file in zip(lines, files, strict=True) if file == number] for number in range(3)]


@given(delivery=deliveries())
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_order_repetition_and_division_change_nothing(delivery):
    with tempfile.TemporaryDirectory() as folder:
        cooperative = Cooperative(Path(folder) / "home")
        for name, content in FILES.items():
            if name != "payments.csv":
                cooperative.put(name, content)
        for number, lines in enumerate(delivery):
            cooperative.put(f"payments/{number}.csv", "\n".join([HEADER, *lines]) + "\n")
        report = cooperative.load(share=0)
        table = report.tables["payments"]
        assert table.row_count == table.accepted_count + table.duplicate_count == sum(map(len, delivery))
        assert sorted(row[0] for row in cooperative.rows("payments", "payment_id")) == ["P1", "P2", "P3"]
        # Everything once more, as one file.
        cooperative.put("payments/0.csv", FILES["payments.csv"])
        assert cooperative.load(share=0).tables["payments"].new_count == 0
