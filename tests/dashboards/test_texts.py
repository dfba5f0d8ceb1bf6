"""Every sentence exists in both languages, with the same blanks, and every one that a page asks for exists."""

import re
from pathlib import Path
from string import Formatter

import pytest

from dashboards.formats import LANGUAGES
from dashboards.language import load_texts

DASHBOARDS = Path(__file__).resolve().parents[2] / "dashboards"
SPANISH, ENGLISH = load_texts("es").entries, load_texts("en").entries


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys():
    assert set(SPANISH) == set(ENGLISH)


@pytest.mark.parametrize("key", sorted(SPANISH))
def test_both_languages_fill_the_same_blanks(key):
    assert blanks(SPANISH[key]) == blanks(ENGLISH[key])
    assert SPANISH[key].strip()
    assert ENGLISH[key].strip()


def test_every_key_that_a_page_names_exists_and_every_key_is_used():
    source = "\n".join(path.read_text(encoding="utf-8") for path in DASHBOARDS.rglob("*.py"))
    named = set(re.findall(r"texts\(\s*f?[\"']([a-z0-9_.{}]+)[\"']", source))
    named |= set(re.findall(r'"((?:operation|today|portfolio|app)\.[a-z_]+)"', source))
    named |= {f"failure.{what}{end}" for what in ("no_home", "nothing_published", "broken") for end in ("", "_text")}
    patterns = [re.compile(re.sub(r"\\{.*?\\}", "[a-z0-9_]+", re.escape(name)) + "$") for name in named]
    unknown = [name for name, pattern in zip(named, patterns, strict=True) if not any(map(pattern.match, SPANISH))]
    labelled = tuple(f"{group}." for group in re.findall(r'texts\.label\("([a-z_]+)"', source))
    unused = [
        key for key in SPANISH if not key.startswith(labelled) and not any(pattern.match(key) for pattern in patterns)
    ]
    assert unknown == []
    assert unused == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_code_without_translation_is_shown_as_it_is(language):
    assert load_texts(language).label("product", "agro-plus") == "agro-plus"
