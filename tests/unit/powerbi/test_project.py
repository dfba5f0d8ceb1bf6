"""The project as files: sound, the same every time, in both languages, and every fault that we can think of is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from puntual.errors import ExportError, UsageError
from puntual.powerbi import project
from puntual.powerbi.captions import _captions
from puntual.powerbi.checks import bound_fields, check_model, check_project, read_model, unbalanced
from puntual.powerbi.measures import all_measures, measure_name
from puntual.powerbi.model import ACCESS, MEASURES, SourceSettings
from puntual.powerbi.project import MODEL_FOLDER, REPORT_FOLDER, VALIDATION, build_project, digest, write_project
from puntual.powerbi.schemas import validate_files
from puntual.powerbi.semantics import load_semantics
from puntual.powerbi.star import is_dimension, references, star_tables

SCHEMAS = Path(__file__).resolve().parents[4] / "shared" / "data" / "powerbi_schemas"
PAGES = f"{REPORT_FOLDER}/definition/pages"
TABLES = f"{MODEL_FOLDER}/definition/tables"


@pytest.fixture(scope="module")
def built():
    return build_project(star_tables(), load_semantics(), SourceSettings(), "Cooperativa «Ñandú» & Hijos")


@pytest.fixture
def files(built) -> dict[str, str]:
    return dict(built[1])


def test_the_project_is_sound(files) -> None:
    assert check_project(files) == []


def test_the_model_read_back_is_the_model_that_was_meant(built) -> None:
    model, files = built
    assert read_model(files).files == dict(model.files)


def test_the_same_inputs_give_the_same_bytes(built, tmp_path: Path) -> None:
    _, again = build_project(star_tables(), load_semantics(), SourceSettings(), "Cooperativa «Ñandú» & Hijos")
    assert again == built[1]
    with_a_table = again | {f"{TABLES}/of_yesterday.tmdl": "table of_yesterday\n"}
    write_project(whole(with_a_table), tmp_path)
    write_project(whole(again), tmp_path)
    assert there(tmp_path) == whole(again)


def whole(files: dict[str, str]) -> dict[str, str]:
    """The files with the record of what was written."""
    record = {"sha256": {path: digest(text.encode()) for path, text in files.items()}}
    return files | {VALIDATION: json.dumps(record)}


def there(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def newer(files) -> dict[str, str]:
    """The project of a later day: one file differs, one is new."""
    path = f"{PAGES}/cartera/page.json"
    return whole(files | {path: files[path] + "\n", f"{TABLES}/of_tomorrow.tmdl": "table of_tomorrow\n"})


@pytest.mark.parametrize(
    "own",
    [f"{PAGES}/mine/page.json", f"{PAGES}/cartera/page.json", "Puntual.pbip", f"{MODEL_FOLDER}/diagramLayout.json"],
)
def test_own_work_is_refused_by_name_and_replaced_only_by_force(files, newer, tmp_path: Path, own: str) -> None:
    write_project(whole(files), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / own).parent.mkdir(exist_ok=True)
    (tmp_path / own).write_text('{"mine": true}')
    before = there(tmp_path)
    with pytest.raises(UsageError, match=f"(?s){own}.*--out.*--force"):
        write_project(newer, tmp_path)
    assert there(tmp_path) == before
    write_project(newer, tmp_path, force=True)
    assert there(tmp_path) == newer | {"notes.txt": "mine"}


def test_without_a_record_only_what_would_be_written_anyway_is_not_own_work(files, newer, tmp_path: Path) -> None:
    write_project(whole(files), tmp_path)
    for text in (None, "not JSON", "[]", '{"sha256": 1}'):
        (tmp_path / VALIDATION).unlink(missing_ok=True)
        if text is not None:
            (tmp_path / VALIDATION).write_text(text)
        with pytest.raises(UsageError, match=r"cartera/page\.json"):
            write_project(newer, tmp_path)
    write_project(whole(files), tmp_path)
    assert there(tmp_path) == whole(files)


def test_what_desktop_keeps_for_itself_is_nobodys_work(files, newer, tmp_path: Path) -> None:
    write_project(whole(files), tmp_path)
    (tmp_path / REPORT_FOLDER / ".pbi").mkdir()
    (tmp_path / REPORT_FOLDER / ".pbi" / "localSettings.json").write_text("{}")
    write_project(newer, tmp_path)
    assert there(tmp_path) == newer


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_crash_anywhere_leaves_the_old_project_whole(
    files, newer, tmp_path: Path, monkeypatch, is_first: bool, is_killed: bool
) -> None:
    rename, undo = Path.replace, project._undo
    if not is_first:
        write_project(whole(files), tmp_path)
    before = there(tmp_path)
    moves, at = 0, 0
    while at == 0 or moves >= at:
        at, moves = at + 1, 0

        def failing(path: Path, target: Path, last: int = at) -> Path:
            nonlocal moves
            moves += 1
            if moves == last:
                raise OSError(5, "the disk is gone")
            return rename(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", failing)
            if is_killed:  # nothing is undone by whoever dies
                patched.setattr(project, "_undo", lambda folder: None)
            try:
                write_project(newer, tmp_path)
            except ExportError as error:
                assert "still stands" in str(error)
        if moves >= at:
            undo(tmp_path)
            assert there(tmp_path) == before, f"after move {at}"
    assert there(tmp_path) == newer
    assert at == (7 if is_first else 12), "every rename was tried"


def test_a_full_disk_leaves_the_old_project_whole(files, newer, tmp_path: Path, monkeypatch) -> None:
    write_project(whole(files), tmp_path)
    before = there(tmp_path)
    write, written = Path.write_bytes, []

    def failing(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) == 20:
            raise OSError(28, "No space left on device")
        return write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", failing)
        with pytest.raises(ExportError, match="No space left"):
            write_project(newer, tmp_path)
    project._undo(tmp_path)
    assert there(tmp_path) == before


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="Microsoft's schemas are not on this machine")
def test_every_json_file_obeys_the_schema_that_it_names(files) -> None:
    verdicts = validate_files(files, SCHEMAS)
    assert [verdict for verdict in verdicts if verdict.problems] == []
    unnamed = {verdict.file for verdict in verdicts if not verdict.is_checked}
    assert unnamed == {"Puntual.pbids", f"{REPORT_FOLDER}/StaticResources/RegisteredResources/Puntual.json"}
    assert len(verdicts) > 40


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="Microsoft's schemas are not on this machine")
@pytest.mark.parametrize(
    ("file", "change"),
    [
        (f"{PAGES}/cartera/page.json", lambda page: page.pop("displayName")),
        (f"{PAGES}/cartera/page.json", lambda page: page.update(displayOption="Fit")),
        (f"{PAGES}/cartera/visuals/cartera_01/visual.json", lambda visual: visual["visual"].pop("visualType")),
        (
            f"{PAGES}/cartera/visuals/cartera_04/visual.json",
            lambda visual: visual["filterConfig"]["filters"][0].update(type="Nice"),
        ),
        (f"{PAGES}/cartera/visuals/cartera_04/visual.json", lambda visual: visual["visual"]["query"].update(more=1)),
        (f"{REPORT_FOLDER}/definition/report.json", lambda report: report.pop("themeCollection")),
    ],
)
def test_the_schemas_are_really_asked(files, file: str, change) -> None:
    content = json.loads(files[file])
    change(content)
    verdicts = {verdict.file: verdict for verdict in validate_files({file: json.dumps(content)}, SCHEMAS)}
    assert verdicts[file].is_checked
    assert verdicts[file].problems


def test_without_schemas_nothing_is_called_checked(files) -> None:
    assert {verdict.is_checked for verdict in validate_files(files, None)} == {False}


def test_every_kpi_that_is_on_is_a_measure_and_none_that_is_off(built) -> None:
    catalogue = load_semantics().catalogue.values()
    measures = built[0].measures
    assert {measure_name(kpi) for kpi in catalogue if kpi.status == "on"} <= set(measures)
    assert not {measure_name(kpi) for kpi in catalogue if kpi.status == "off"} & set(measures)


def test_sums_and_ratios_are_written_from_the_semantic_files(built) -> None:
    measures = built[0].measures
    assert measures["K05 Delinquency ratio"] == "DIVIDE([unproductive_amount], [gross_amount])"
    assert measures["K01 Gross portfolio"] == "[gross_amount]"
    assert "SUM('kpi_portfolio'[gross_amount])" in measures["gross_amount"]
    assert "'dim_dates'[is_stock_date] = TRUE()" in measures["gross_amount"]


def test_everything_that_is_seen_has_a_caption_in_both_languages() -> None:
    captions = _captions()
    tables = star_tables()
    assert {*tables, MEASURES, ACCESS} - captions["tables"].keys() == set()
    seen = {
        column.name
        for table in tables.values()
        if not table.name.startswith("kpi_")
        for column in table.columns
        if not column.name.endswith("_key")
    }
    assert seen - captions["columns"].keys() == set()
    assert set(captions["tables"]) <= {*tables, MEASURES, ACCESS}, "a caption of a table that is not in the star"


def test_every_measure_has_words_of_its_own_in_both_languages() -> None:
    semantics = load_semantics()
    captions = _captions()["sums"]
    assert captions.keys() == semantics.sums.keys()
    assert all(entry.keys() == {"es", "en", "about_es"} for entry in captions.values())
    measures = all_measures(semantics)
    for language in ("es", "en"):
        names = [getattr(measure, f"caption_{language}") for measure in measures]
        assert sorted(names) == sorted(set(names)), "a caption must say which measure it is"
        assert not [name for name in names if "_" in name.split(" ", 1)[-1]]
    for measure in measures:
        assert measure.description_es.strip(), measure.name
        assert measure.description_es != measure.description_en, measure.name


def test_one_word_for_one_thing_in_spanish(files) -> None:
    words = json.dumps(_captions(), ensure_ascii=False).lower()
    visuals = [json.loads(text) for path, text in files.items() if path.endswith("visual.json")]
    titles = [visual["visual"].get("visualContainerObjects") for visual in visuals]
    report = json.dumps(titles, ensure_ascii=False).lower()
    assert "agencia" in report
    for word in ("oficina", "rodamiento", "rango", "promesa"):
        assert word not in words and word not in report, word


def test_the_report_names_no_resource_that_does_not_ship(files) -> None:
    report = json.loads(files[f"{REPORT_FOLDER}/definition/report.json"])
    packaged = {item["name"] for package in report["resourcePackages"] for item in package["items"]}
    assert {theme["name"] for theme in report["themeCollection"].values()} <= packaged


def test_every_table_of_facts_stands_on_the_calendar_and_a_key_is_never_seen(built) -> None:
    found = references(star_tables())
    facts = {table for table in star_tables() if not is_dimension(table)}
    assert {reference.table for reference in found if reference.column == "date_key"} == facts
    for table in built[0].tables.values():
        for column in table.of("column"):
            if (column.name or "").endswith("_key"):
                assert column.get("isHidden") is True, f"{table.name}.{column.name}"


def test_roles_close_every_fact_that_knows_no_branch(built) -> None:
    model = built[0]
    with_branch = {reference.table for reference in references(star_tables()) if reference.column == "branch_key"}
    for role in ("branch_by_user", "branch_template"):
        node = model.files[f"roles/{role}.tmdl"][0]
        permissions = {permission.name: permission.expression or "" for permission in node.of("tablePermission")}
        assert {"dim_branches", "dim_loans", "dim_customers", ACCESS} <= permissions.keys()
        open_ones = {table for table in star_tables() if not is_dimension(table)} - with_branch
        assert open_ones <= permissions.keys()
    dynamic = model.files["roles/branch_by_user.tmdl"][0]
    assert all("USERPRINCIPALNAME()" in (permission.expression or "") for permission in dynamic.of("tablePermission"))


def test_four_pages_in_order_each_with_cards_a_chart_a_matrix_and_slicers(files) -> None:
    order = json.loads(files[f"{PAGES}/pages.json"])["pageOrder"]
    titles = [json.loads(files[f"{PAGES}/{page}/page.json"])["displayName"] for page in order]
    assert titles == ["Cartera", "Mora y transición", "Gerencia", "Gestores"]
    for page in order[:2]:
        kinds = {
            json.loads(text)["visual"]["visualType"]
            for path, text in files.items()
            if path.startswith(f"{PAGES}/{page}/visuals/")
        }
        assert {"slicer", "card", "pivotTable", "lineChart", "textbox"} <= kinds


def swap(path: str, old: str, new: str):
    def change(files: dict[str, str]) -> None:
        assert old in files[path], f"{old!r} is not in {path}"
        files[path] = files[path].replace(old, new, 1)

    return change


def drop(path: str):
    return lambda files: files.pop(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            swap(f"{TABLES}/measures.tmdl", "SUM('kpi_portfolio'[gross_amount])", "SUM('kpi_portfolio'[gross])"),
            "no column",
            id="column",
        ),
        pytest.param(
            swap(f"{TABLES}/measures.tmdl", "DIVIDE([unproductive_amount]", "DIVIDE([unproductive]"),
            "no measure",
            id="measure",
        ),
        pytest.param(
            swap(f"{TABLES}/measures.tmdl", "MAX('dim_dates'[date])", "MAX('dim_days'[date])"),
            "no column dim_days",
            id="table",
        ),
        pytest.param(
            swap(
                f"{TABLES}/measures.tmdl",
                "DIVIDE([unproductive_amount], [gross_amount])",
                "DIVIDE([unproductive_amount], [gross_amount]",
            ),
            "expected",
            id="bracket",
        ),
        pytest.param(
            swap(f"{TABLES}/measures.tmdl", "\tmeasure gross_amount", "\tmeasure 'gross_amount"), "neither", id="quote"
        ),
        pytest.param(
            swap(f"{TABLES}/dim_branches.tmdl", "column branch_key", "column branch_id"), "twice", id="column twice"
        ),
        pytest.param(
            swap(f"{TABLES}/dim_branches.tmdl", '{"branch_name", type text}', '{"branch_name", type text'),
            "read as M",
            id="M",
        ),
        pytest.param(
            swap(f"{TABLES}/dim_dates.tmdl", "sortByColumn: month", "sortByColumn: monat"), "sorted by", id="sort"
        ),
        pytest.param(
            swap(
                f"{MODEL_FOLDER}/definition/relationships.tmdl",
                "toColumn: dim_dates.date_key",
                "toColumn: dim_dates.day_key",
            ),
            "ends at",
            id="relationship",
        ),
        pytest.param(
            swap(f"{MODEL_FOLDER}/definition/relationships.tmdl", "\tisActive: false\n", ""),
            "active paths",
            id="two paths",
        ),
        pytest.param(
            swap(f"{MODEL_FOLDER}/definition/model.tmdl", "ref table dim_kpis\n", "ref table dim_kpi\n"),
            "is named",
            id="ref",
        ),
        pytest.param(
            swap(f"{MODEL_FOLDER}/definition/cultures/es-EC.tmdl", "column branch_name", "column branch_nombre"),
            "branch_nombre",
            id="caption",
        ),
        pytest.param(
            swap(
                f"{MODEL_FOLDER}/definition/roles/branch_by_user.tmdl",
                "'branch_access'[user_principal_name]",
                "'branch_access'[mail]",
            ),
            "mail",
            id="role",
        ),
        pytest.param(swap(f"{MODEL_FOLDER}/definition.pbism", "4.2", "1.0"), "version", id="version"),
        pytest.param(
            swap(f"{REPORT_FOLDER}/definition.pbir", "../Puntual.SemanticModel", "../Other"),
            "names the model",
            id="model path",
        ),
        pytest.param(swap("Puntual.pbip", "Puntual.Report", "Report"), "names the report", id="report path"),
        pytest.param(swap("Puntual.pbids", "folder", "ftp"), "no connection", id="pbids"),
        pytest.param(swap(f"{PAGES}/pages.json", '"gestores"', '"gestor"'), "orders", id="page order"),
        pytest.param(
            swap(
                f"{PAGES}/cartera/visuals/cartera_01/visual.json",
                '"Property": "year_month"',
                '"Property": "month_year"',
            ),
            "not in the model",
            id="visual",
        ),
        pytest.param(
            swap(f"{PAGES}/cartera/page.json", '"source": "cartera_01"', '"source": "cartera_77"'),
            "interaction",
            id="interaction",
        ),
        pytest.param(
            drop(f"{REPORT_FOLDER}/StaticResources/RegisteredResources/Puntual.json"), "Puntual.json", id="theme"
        ),
        pytest.param(drop(f"{PAGES}/mora/page.json"), "no page.json", id="page"),
        pytest.param(swap(f"{REPORT_FOLDER}/definition/version.json", "{", ""), "not JSON", id="json"),
    ],
)
def test_a_fault_is_found(files, change, reason: str) -> None:
    change(files)
    problems = check_project(files)
    assert any(reason in problem for problem in problems), problems


def test_a_visual_that_leaves_the_page_or_covers_another_is_found(files) -> None:
    path = f"{PAGES}/cartera/visuals/cartera_04/visual.json"
    visual = json.loads(files[path])
    visual["position"]["x"] = 1200
    files[path] = json.dumps(visual)
    assert any("leaves the page" in problem for problem in check_project(files))
    visual["position"]["x"] = 300
    files[path] = json.dumps(visual)
    assert any("overlap" in problem for problem in check_project(files))


def test_fields_are_found_wherever_they_stand() -> None:
    column = {"Column": {"Expression": {"SourceRef": {"Source": "d"}}, "Property": "x"}}
    content = {"a": [{"filter": {"From": [{"Name": "d", "Entity": "dim_dates"}], "Where": [column]}}]}
    assert list(bound_fields(content)) == [("Column", "dim_dates", "x")]


@pytest.mark.parametrize(
    ("code", "sign"), [("f({1, [a]})", None), ("f({1)", ")"), ('"(" & "a""b"', None), ('"open', '"'), ("f(", "(")]
)
def test_brackets_and_quotes_of_m(code: str, sign: str | None) -> None:
    assert unbalanced(code) == sign


def test_the_model_alone_is_checked_too(built) -> None:
    assert check_model(built[0]) == []
