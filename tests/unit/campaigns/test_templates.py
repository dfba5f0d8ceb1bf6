"""What a template must hold, and what is refused with file and key."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.protected import protected
from puntual.campaigns.templates import examples, load_templates
from puntual.campaigns.variables import VARIABLES, Manner, values_of
from puntual.contracts.schema import load_contract
from puntual.paths import POLICIES
from puntual.segments.data import CampaignDataError
from puntual.segments.registry import declared_columns

SMS = {
    "id": "own", "version": 1, "language": "es", "channel": "sms", "tone": "friendly", "sender": "{institution}",
    "max_segments": 1, "text": "{institution}: pague {amount}",
}  # fmt: skip
EMAIL = {
    "id": "own", "version": 1, "language": "es", "channel": "email", "tone": "friendly", "subject": "Pago",
    "opt_out": "Responda BAJA.", "text": "Pague {amount}. Responda BAJA.",
}  # fmt: skip
WHATSAPP = {
    "id": "own", "version": 1, "language": "es", "channel": "whatsapp", "tone": "friendly", "category": "utility",
    "approved_name": "pago", "opt_out": "Responda BAJA.", "text": "Pague {amount}. Responda BAJA.",
}  # fmt: skip


def own(tmp_path: Path, *templates: dict[str, Any], country: str = "EC", **more: Any):
    content = {"id": "TEMPLATES", "templates": list(templates)} | more
    (tmp_path / "templates.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return load_templates(POLICIES, tmp_path, country)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (SMS | {"text": "{institution}: {nombre}"}, r"unknown variable \{nombre\}"),
        (SMS | {"text": "{institution}: {nmae}"}, r"Did you mean \{name\}\?"),
        (SMS | {"text": "{institution}: {amount!r}"}, "unknown variable"),
        (SMS | {"text": "{institution}: {name.__class__}"}, "unknown variable"),
        (SMS | {"text": "{institution}: {"}, "brace"),
        (SMS | {"text": "Pague {amount}"}, "does not hold its sender"),
        ({key: value for key, value in SMS.items() if key != "sender"}, "sender belongs to templates of sms"),
        (SMS | {"text": "{institution}: " + "a" * 160}, "max_segments is 1"),
        (SMS | {"text": "{institution}: pagó " + "a" * 60}, "write accents: drop"),
        (SMS | {"subject": "x"}, "subject does not belong"),
        (EMAIL | {"text": "Pague {amount}."}, "does not hold its opt_out"),
        ({key: value for key, value in EMAIL.items() if key != "subject"}, "subject belongs to templates of email"),
        ({key: value for key, value in EMAIL.items() if key != "opt_out"}, "opt_out belongs to templates of email"),
        (EMAIL | {"subject": "{nobody}"}, r"unknown variable \{nobody\}"),
        (WHATSAPP | {"category": "spam"}, "not 'spam'"),
        ({key: value for key, value in WHATSAPP.items() if key != "approved_name"}, "approved template"),
        (SMS | {"text": "{institution}: o irá a la CÁRCEL"}, "carcel is forbidden by no_threats"),
        (SMS | {"text": "{institution}: lo embargaremos"}, r"embarg\* is forbidden"),
        (SMS | {"txet": "x"}, "txet: unknown key"),
    ],
)
def test_what_is_refused_is_said_with_file_and_key(template, said, tmp_path):
    with pytest.raises(CampaignDataError, match=said) as refused:
        own(tmp_path, template)
    assert "templates.yaml" in str(refused.value)
    assert "own" in str(refused.value)


def test_what_is_sound_is_taken(tmp_path):
    found = own(tmp_path, SMS, EMAIL | {"id": "mail"}, WHATSAPP | {"id": "whats"})
    assert {"own", "mail", "whats", "sms_friendly"} <= set(found.ids())


def test_an_institution_may_add_words_and_not_take_them_away(tmp_path):
    words = {"id": "ours", "countries": ["EC"], "sources": ["board"], "words": ["urgente"]}
    with pytest.raises(CampaignDataError, match="urgente is forbidden by ours"):
        own(tmp_path, SMS | {"text": "{institution}: URGENTE"}, forbidden=[words])
    own(tmp_path, SMS | {"text": "{institution}: URGENTE"}, country="MX", forbidden=[words])
    with pytest.raises(CampaignDataError, match="not take any away"):
        own(tmp_path, forbidden=[words | {"id": "no_threats"}])


def test_the_newest_version_in_force_is_used_and_the_old_one_before(tmp_path):
    newer = SMS | {"version": 2, "effective_from": date(2026, 7, 1)}
    found = own(tmp_path, SMS, newer)
    assert found.choose("own", ("es",), date(2026, 6, 30)).version == 1
    assert found.choose("own", ("es",), date(2026, 7, 1)).version == 2
    assert found.choose("own", ("en", "es"), date(2026, 7, 1)).language == "es"
    assert found.choose("own", ("en",), date(2026, 7, 1)) is None


def test_templates_of_one_id_share_channel_and_tone(tmp_path):
    with pytest.raises(CampaignDataError, match="share channel and tone"):
        own(tmp_path, SMS, SMS | {"language": "en", "tone": "firm"})


def test_a_key_that_stands_twice_is_an_error(tmp_path):
    (tmp_path / "templates.yaml").write_text("id: TEMPLATES\nid: TEMPLATES\ntemplates: []\n", encoding="utf-8")
    with pytest.raises(CampaignDataError, match="stands twice"):
        load_templates(POLICIES, tmp_path, "EC")


def test_every_variable_comes_from_the_contract_or_the_rows_of_the_day():
    contract = load_contract()
    columns = {f"{table.table}.{column.name}" for table in contract.values() for column in table.columns}
    columns |= {f"features.{name}" for name in declared_columns()} | {
        f"decisions.{name}" for name in declared_columns()
    }
    columns |= {"settings.institution.name", "run.as_of_date"}
    assert {one.source for one in VARIABLES.values()} <= columns
    assert not protected(VARIABLES)


def test_every_shipped_text_exists_in_both_languages_and_fits():
    found = load_templates(POLICIES, None, "EC")
    for name in found.ids():
        for language in ("es", "en"):
            one = found.choose(name, (language,), date(2026, 6, 30))
            assert one is not None and one.language == language
            assert one.render(examples(language))


MEMBER = {
    "full_name": "María Quizhpe", "arrears_amount": 1234.5, "collectable_amount": 2000.0, "past_due_days": 12,
    "next_due_in_days": 3, "active_loan_count": 1, "loan_id": "007", "branch_id": None, "promise_date": None,
    "promised_amount": None,
}  # fmt: skip


def test_values_are_written_as_the_country_writes_them():
    day = date(2026, 6, 30)
    in_ecuador = values_of(MEMBER, "es", Manner("Coop", "USD", "EC"), day)
    in_mexico = values_of(MEMBER, "es", Manner("Coop", "MXN", "MX"), day)
    assert (in_ecuador["amount"], in_mexico["amount"]) == ("USD 1.234,50", "MXN 1,234.50")
    assert in_ecuador["situation"] == "con 12 días de atraso" and in_ecuador["first_name"] == "María"
    assert in_ecuador["promise_date"] is None and in_ecuador["loan_id"] == "007"
    preventive = values_of(MEMBER | {"past_due_days": 0, "full_name": None}, "es", Manner("Coop", "USD", "EC"), day)
    assert preventive["amount"] == "USD 2.000,00" and preventive["situation"] == "que vence el 3 jul 2026"
    assert preventive["name"] == "socio"
    several = values_of(MEMBER | {"active_loan_count": 2}, "en", Manner("Coop", "USD", "EC"), day)
    assert several["loans"] == "the total of your loans" and several["amount"] == "USD 1,234.50"
