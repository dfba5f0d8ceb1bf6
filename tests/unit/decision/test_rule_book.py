"""Everything that the book of contact rules asks for is a rule of a shipped policy, or an obligation that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from puntual.paths import POLICIES, PROJECT_ROOT

LISTED = yaml.safe_load((Path(__file__).parent / "rule_book.yaml").read_text(encoding="utf-8"))
BOOK = PROJECT_ROOT.parent / "shared" / "reference" / "contact_rules.yaml"


def stated() -> set[str]:
    """Ids of the rules and obligations of the shipped policies."""
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in POLICIES.glob("*-*.yaml")]
    return {part["id"] for file in files for part in (*file["rules"], *file.get("obligations", []))}


@pytest.mark.parametrize("key", list(LISTED["keys"]))
def test_each_key_of_the_book_is_a_rule_or_an_obligation(key):
    named = LISTED["keys"][key]
    assert named
    assert not set(named) - stated()
    # at least one is of the policy itself
    assert any(one.startswith(f"{key.split('.')[0]}/") for one in named)


def test_each_policy_that_ships_is_of_the_book_or_of_the_product():
    of_book = {key.split(".")[0] for key in LISTED["keys"]}
    assert {file.stem for file in POLICIES.glob("*-*.yaml")} - of_book == {"CONTACT-POINTS", "PERSON-STATUS"}


@pytest.mark.skipif(not BOOK.exists(), reason="the book is not beside this checkout")
def test_the_list_has_every_key_of_the_book():
    book = yaml.safe_load(BOOK.read_text(encoding="utf-8"))
    # an empty list asks for nothing
    keys = {
        f"{one['id']}.{key}"
        for one in book["rule_sets"]
        for key, value in one.items()
        if key not in LISTED["about"] and value != []
    }
    assert keys == set(LISTED["keys"])
