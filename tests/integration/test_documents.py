"""What the documents tell a reader to type works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_notebook_snippets_run_on_a_published_snapshot(finished_home):
    text = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(block.replace('Path("demo")', f"Path({str(finished_home)!r})"), names)
    assert names["by_bucket"].sum() == pytest.approx(names["today"]["outstanding_principal_amount"].sum())
    assert len(names["decisions"]) > 0
    assert names["card"]["model"] == "default_risk"
    assert names["measures"].loc["auc", "low"] <= names["measures"].loc["auc", "value"] <= 1


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/onboarding.md", "notebooks/README.md"])
def test_every_linked_file_exists(document):
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(r"^    make ([a-z-]+)", (ROOT / document).read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(named) <= targets
