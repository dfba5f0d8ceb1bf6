from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from models.conditions import Condition
from models.features import (
    CUSTOMER_FEATURES,
    LOAN_FEATURES,
    FeatureSpec,
    ReasonGroup,
    check_spec,
    encode,
    explain_groups,
    learn_categories,
)
from models.protected import is_protected, protected
from puntual.errors import ModelError

SPECS = [pytest.param(spec, id=spec.model) for spec in (LOAN_FEATURES, CUSTOMER_FEATURES)]


@pytest.mark.parametrize("spec", SPECS)
def test_every_feature_says_why_it_may_be_used(spec: FeatureSpec) -> None:
    check_spec(spec)
    assert all(feature.why and feature.leakage and feature.group for feature in spec.features)
    assert all(group.es and group.en for group in spec.groups)


@pytest.mark.parametrize("spec", SPECS)
def test_no_protected_attribute_is_a_column(spec: FeatureSpec) -> None:
    assert not protected(spec.names)


def test_default_risk_learns_no_column_that_tells_its_few_dates_apart() -> None:
    """Every loan of a date has the same day: on some twenty dates it is the date itself."""
    of_the_date = {"day_of_month", "day_of_year"}
    assert of_the_date <= set(LOAN_FEATURES.names)
    assert not of_the_date & set(LOAN_FEATURES.feature_names)


def test_a_protected_attribute_is_refused_in_a_spec() -> None:
    for name in ("gender", "edad", "estado_civil", "sexo_socio"):
        column = dataclasses.replace(LOAN_FEATURES.columns[-1], name=name)
        with pytest.raises(ModelError, match=f"{name}.*protected"):
            check_spec(dataclasses.replace(LOAN_FEATURES, columns=(*LOAN_FEATURES.columns, column)))


@pytest.mark.parametrize(
    "name",
    [
        *("edad", "EDAD", "edad_socio", "edad2", "rango_edad", "age", "AgeBand", "memberAge", "age_at_loan", "ages"),
        *("sexo", "sexo_socio", "Sex", "genero", "género", "GÉNERO", "gender_code", "es_mujer", "isMale"),
        *("fecha_nacimiento", "FechaNacimiento", "fec_nac", "birthdate", "birth_date", "date of birth", "dob"),
        *("estado_civil", "Estado Civil", "estadoCivil", "marital_status", "civil_status", "casado", "nombre_conyuge"),
        *("EST_CIVIL", "edo_civil", "EDOCIVIL", "est_civ", "e_civil", "sit_civil", "unionLibre", "union_de_hecho"),
        *("FEC_NACIM", "fecha_nacim", "fechanac", "FECHANACIM", "f_nac", "fNac", "fnac", "fecha_de_nac", "nac_fecha"),
        *("fec_nacimto", "anio_nac", "año_nac", "anionac", "yob", "birthyr", "dateofbirth", "FechaDeNacimiento"),
        *("fechanacimiento", "fecnac", "maritalstatus", "civilstatus", "estadocivil", "birthday", "grupo_etario"),
        *("EDADSOCIO", "edadcliente", "customerage", "agegroup", "rangoedad", "EDADsocio", "edadDelTitular"),
        *("edaddelsocio", "memberage", "grupo_etareo", "years_old", "adulto_mayor", "sexocliente", "codsexo"),
        *("edad_cuenta_habiente", "credito_edad_titular", "edad_cuentahabiente", "age_of_account_holder"),
        *("edad_deudor_credito", "prestamo_edad_socio", "edad_credito_cliente", "customer_account_age"),
        *("sexflag", "genderflag", "maleflag", "flagsexo", "indsexo", "gendercd", "hombres", "mujeres", "generos"),
        *("widow", "widower", "matrimonio", "MARSTAT", "mar_stat", "civil_st", "CIVILST", "edadcli", "edadsoc"),
        *("edad_credito_cli", "dias_edad", "edad_dias", "edad_max", "calificacion_edad", "edad_en_credito"),
        *("edad_al_vencimiento", "age_at_payment", "payment_date_age", "due_age", "edad_por_producto", "edad_en"),
    ],
)
def test_protected_names_are_known_however_they_are_written(name: str) -> None:
    assert is_protected(name)


@pytest.mark.parametrize(
    "name",
    [
        *("average", "percentage", "stage", "mortgage", "mortgage_age", "loan_age", "loanAge", "account_age_days"),
        *("antiguedad", "edad_credito", "edad_del_prestamo", "edad_de_la_mora", "age_of_loan", "voltage", "language"),
        *("responsabilidad_civil", "estado", "sextil", "sexagesimal", "generation", "general", "homemade", "package"),
        *("cantidad", "propiedad", "novedad", "localidad", "sociedad", "entidad", "NOVEDADCLIENTE", "socio_antiguedad"),
        *("edad_cuota", "edad_cuotas", "edad_obligacion", "edad_producto", "edad_tarjeta", "edad_vencimiento"),
        *("dias_edad_mora", "edad_dias_mora", "edad_en_mora", "edad_max_mora", "edad_min_mora", "edad_atraso"),
        *("average_age_of_accounts", "age_of_loans", "payment_age", "delinquency_age", "days_past_due_age"),
        *("installment_age", "pastdue_age", "edad_pagare", "edad_calificacion", "edad_de_las_obligaciones"),
        *("product_flag", "ind_mora", "cd_agencia", "cli_id", "mar", "stat", "storage", "civil_strife", "generosidad"),
        *("edad_mora", "dias_edad_cartera", "edades_de_cartera", "edadcartera", "loanage", "edad_promedio_cartera"),
        *("nacional", "nacionalidad", "moneda_nac", "cod_nac", "barrio_renacimiento", "estado_cuenta", "est_cuenta"),
        *("registro_civil", "obra_civil", "malecon", "essex", "tamales", "doble", "dobla", "agencia", "agente"),
        *("ageing_bucket", "usage", "manage", "brokerage", "coverage", "customer_message", "years_at_address"),
        *("fecha", "f_pago", "anio", "clientes", "titular", "deudor_id", "member_tenure_days", "union", "mayor"),
    ],
)
def test_innocent_names_are_not_refused(name: str) -> None:
    assert not is_protected(name)


def test_evidence_reads_columns_that_there_are() -> None:
    group = dataclasses.replace(LOAN_FEATURES.groups[0], evidence=("nothing_of_the_kind > 0",))
    with pytest.raises(ModelError, match="nothing_of_the_kind"):
        check_spec(dataclasses.replace(LOAN_FEATURES, groups=(group, *LOAN_FEATURES.groups[1:])))
    with pytest.raises(ModelError, match="cannot be read"):
        Condition.parse("past_due_days is high")


def test_a_sign_needs_a_reason() -> None:
    signed = dataclasses.replace(LOAN_FEATURES.features[3], name="new", monotone=1, monotone_reason="")
    with pytest.raises(ModelError, match="no reason"):
        check_spec(dataclasses.replace(LOAN_FEATURES, columns=(*LOAN_FEATURES.columns, signed)))


def test_columns_may_come_in_any_order_but_none_may_be_missing_or_new(loan_world) -> None:
    rows = loan_world(members=5).today
    shuffled = rows[sorted(rows.columns)]
    assert list(LOAN_FEATURES.check(shuffled).columns) == list(LOAN_FEATURES.names)
    with pytest.raises(ModelError, match=r"missing \['past_due_days'\].*never filled"):
        LOAN_FEATURES.check(rows.drop(columns="past_due_days"))
    with pytest.raises(ModelError, match="paid_next_month_amount"):
        LOAN_FEATURES.check(rows.assign(paid_next_month_amount=1.0))


def test_the_schema_hash_changes_with_a_sign_and_not_with_a_sentence() -> None:
    first = LOAN_FEATURES.columns[-2]
    same = dataclasses.replace(
        LOAN_FEATURES,
        columns=(*LOAN_FEATURES.columns[:-2], dataclasses.replace(first, why="x"), LOAN_FEATURES.columns[-1]),
    )
    other = dataclasses.replace(LOAN_FEATURES, columns=LOAN_FEATURES.columns[:-1])
    assert same.schema_hash() == LOAN_FEATURES.schema_hash() != other.schema_hash()


def test_texts_become_their_place_and_unknown_ones_nan(loan_world) -> None:
    rows = loan_world(members=4).today
    rows["province"] = ["Azuay", "Loja", None, "Nowhere"]
    known = learn_categories(LOAN_FEATURES, rows, min_rows=1) | {"province": ["Azuay", "Loja"]}
    place = LOAN_FEATURES.feature_names.index("province")
    np.testing.assert_array_equal(encode(LOAN_FEATURES, rows, known)[:, place], [0.0, 1.0, np.nan, np.nan])


def test_text_in_a_number_column_is_refused(loan_world) -> None:
    rows = loan_world(members=2).today
    rows["past_due_days"] = ["3", "many"]
    with pytest.raises(ModelError, match="past_due_days"):
        encode(LOAN_FEATURES, rows, learn_categories(LOAN_FEATURES, rows))


def test_decimals_and_missing_numbers_are_read(loan_world) -> None:
    from decimal import Decimal

    rows = loan_world(members=2).today
    rows["arrears_amount"] = pd.Series([Decimal("10.25"), None], dtype="object")
    place = LOAN_FEATURES.feature_names.index("arrears_amount")
    values = encode(LOAN_FEATURES, rows, learn_categories(LOAN_FEATURES, rows))[:, place]
    np.testing.assert_array_equal(values, np.float32([10.25, np.nan]))


TOY = dataclasses.replace(
    LOAN_FEATURES,
    columns=tuple(
        dataclasses.replace(LOAN_FEATURES.features[4], name=name, group=group, monotone=0)
        for name, group in (("a", "ONE"), ("b", "ONE"), ("c", "TWO"), ("d", "THREE"))
    ),
    groups=(
        ReasonGroup("ONE", "uno", "one"),
        ReasonGroup("TWO", "dos", "two", evidence=("c > 0",)),
        ReasonGroup("THREE", "tres", "three"),
    ),
)


def test_reasons_are_sums_of_their_group_strongest_first_and_only_upward() -> None:
    # ONE = .2 + .2 = .4; TWO = .5 but its evidence c is 0 in the second row; THREE lowers the score in the first.
    parts = np.array([[0.2, 0.2, 0.5, -0.3], [0.2, 0.2, 0.5, 0.06], [0.01, 0.01, 0.0, 0.0]])
    rows = pd.DataFrame({"a": 1.0, "b": 1.0, "c": [2.0, 0.0, 1.0], "d": 1.0})
    assert explain_groups(TOY, parts, rows) == [["TWO", "ONE"], ["ONE", "THREE"], []]
    assert explain_groups(TOY, parts, rows, most=1) == [["TWO"], ["ONE"], []]


def test_a_reason_has_a_sentence_in_both_languages() -> None:
    by_code = {group.code: (group.es, group.en) for group in LOAN_FEATURES.groups}
    assert by_code["OVERDUE_NOW"] == ("Tiene cuotas vencidas hoy.", "Has overdue instalments today.")
    assert len(by_code) == len(LOAN_FEATURES.groups)
    assert all(es and en and es != en for es, en in by_code.values())


@pytest.mark.parametrize("spec", SPECS)
def test_the_schema_can_be_written_as_json(spec: FeatureSpec) -> None:
    assert len(json.loads(json.dumps([dataclasses.asdict(column) for column in spec.columns]))) == len(spec.columns)
