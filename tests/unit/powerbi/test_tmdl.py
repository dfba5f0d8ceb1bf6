"""TMDL is written by its rules and read back to what was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puntual.powerbi.tmdl import Code, Node, TmdlError, quoted, read, write


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dim_dates", "dim_dates"),
        ("K05_LINE", "K05_LINE"),
        ("K05 Delinquency ratio", "'K05 Delinquency ratio'"),
        ("Debtor's share", "'Debtor''s share'"),
        ("a.b", "'a.b'"),
        ("a=b", "'a=b'"),
        ("a:b", "'a:b'"),
        ("Índice", "Índice"),
        ("1–30 (%)", "'1–30 (%)'"),
    ],
)
def test_names_are_quoted_where_they_must_be(name: str, text: str) -> None:
    assert quoted(name) == text


def test_a_table_is_written_by_indentation() -> None:
    column = Node("column", "branch id", None, "Key.", (("dataType", "string"), ("isHidden", True)))
    measure = Node("measure", "Two lines", "VAR A = 1\n\nRETURN A", None, (("formatString", '"$"#,0'),))
    partition = Node(
        "partition", "t", "m", properties=(("mode", "import"), ("source", Code("let\n    A = 1\nin\n    A")))
    )
    table = Node("table", "t", None, "One line.\nAnother.", (("lineageTag", "x"),), (column, measure, partition))
    assert write([table]) == (
        "/// One line.\n/// Another.\ntable t\n\tlineageTag: x\n\n"
        "\t/// Key.\n\tcolumn 'branch id'\n\t\tdataType: string\n\t\tisHidden\n\n"
        '\tmeasure \'Two lines\' =\n\t\t\tVAR A = 1\n\n\t\t\tRETURN A\n\t\tformatString: """$""#,0"\n\n'
        "\tpartition t = m\n\t\tmode: import\n\t\tsource =\n\t\t\t\tlet\n\t\t\t\t    A = 1\n\t\t\t\tin\n\t\t\t\t    A\n"
    )
    assert read(write([table])) == [table]


names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=20).filter(
    lambda text: text == text.strip()
)
lines = st.lists(st.sampled_from(["SUM('t'[c])", "    + 1", 'VAR x = "a"', "RETURN x"]), min_size=1, max_size=4)


@given(names, names, lines, st.booleans())
def test_what_is_written_is_read_back(table: str, measure: str, code: list[str], is_hidden: bool) -> None:
    code[0] = code[0].strip()
    properties = (("formatString", "#,0"), *((("isHidden", True),) if is_hidden else ()))
    node = Node("table", table, children=(Node("measure", measure, "\n".join(code), "About it.", properties),))
    assert read(write([node])) == [node]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("table t\n\t\t\tcolumn a\n", "deeper"),
        ("table t\n\tcolumn 'a\n", "neither"),
        ("table t\n  column a\n", "space"),
        ("table t\n\tmeasure m =\n\tcolumn a\n", "not there"),
        ('table t\n\tdataCategory: "x\n', "quotes"),
        ("table\n", "no name"),
        ("table t\n\t/// about nothing\n", "before nothing"),
        ("table t = 1\n", "cannot have"),
    ],
)
def test_what_is_not_tmdl_is_refused(text: str, reason: str) -> None:
    with pytest.raises(TmdlError, match=reason):
        read(text)
