import pytest

from models.artifacts import json_bytes, read_head
from puntual.errors import ModelError

FILES = {"model.json": json_bytes({"format": "one/2", "schema_hash": "abc", "level": 1.5})}


def test_head_of_this_release_is_read():
    assert read_head(FILES, name="one", format_="one/2", schema_hash="abc")["level"] == 1.5


@pytest.mark.parametrize(
    ("format_", "schema_hash", "said"),
    [("one/3", "abc", "has format one/2, not one/3"), ("one/2", "abd", "other columns than today's")],
)
def test_head_of_another_release_or_other_columns_is_refused(format_, schema_hash, said):
    with pytest.raises(ModelError, match=f"one: .*{said}; train again"):
        read_head(FILES, name="one", format_=format_, schema_hash=schema_hash)
