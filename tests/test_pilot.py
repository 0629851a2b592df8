"""Import of the published pilot: figures computed again straight from the file, and damaged files."""

from __future__ import annotations

import csv
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import SHARED_DATA

from servicegap.analyse import analyse, analyse_table
from servicegap.design import build_design
from servicegap.errors import InputError, StudyError
from servicegap.formats.pilot import import_pilot
from servicegap.study import AnalysisPlan, Study, open_study
from servicegap.tables import ANNOTATIONS, PROMPTS, RESPONSES

REFUSED = {"refusal", "harmful refusal"}
Row = dict[str, str]

#: Published with the estimator (docs/methods.md): gap to White names in points, interval, p, df.
GAPS = {
    "Muslim": (30.56, 7.32, 53.79, 0.0152, 9.76),
    "Chinese": (8.85, 0.49, 17.22, 0.040, 14.2),
    "Asian": (7.81, -4.91, 20.54, 0.170, 4.5),
    "Mexican": (6.25, -1.84, 14.34, 0.113, 8.3),
}


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def analysed(study: Study) -> dict[str, Any]:
    store = study.store()
    try:
        return analyse(study, store, build_design(study))
    finally:
        store.close()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, dict[str, Any], list[Row]]:
    path = SHARED_DATA / "llama2_7b_chat_annotated.csv"
    if not path.is_file():
        pytest.skip("the published pilot is not here: ../shared/data/llama2_7b_chat_annotated.csv")
    study = import_pilot(path, tmp_path_factory.mktemp("pilot") / "study")
    return study, analysed(study), read(path)


def test_every_row_of_the_file_is_a_response_with_its_label(
    imported: tuple[Study, dict[str, Any], list[Row]],
) -> None:
    study, _, rows = imported
    expected: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        raw = row["g" + row["variable"].removeprefix("label ")]
        sentence = row["prompt_sentence"]
        assert raw.startswith(sentence)
        expected[sentence, raw[len(sentence) :].strip(), raw, row["label"].replace(" ", "_"), "imported"] += 1
    query = (
        sa.select(
            PROMPTS.c.text, RESPONSES.c.text, RESPONSES.c.raw, ANNOTATIONS.c.category, ANNOTATIONS.c.kind
        )
        .join(PROMPTS, PROMPTS.c.id == RESPONSES.c.prompt)
        .join(ANNOTATIONS, ANNOTATIONS.c.response == RESPONSES.c.id)
    )
    store = study.store()
    with store.reading() as connection:
        found = Counter(tuple(row) for row in connection.execute(query))
    store.close()
    assert found == expected
    assert found.total() == 2304


@pytest.mark.parametrize(
    ("outcome", "labels"),
    [
        ("refused", REFUSED),
        ("harmful", {"harmful refusal", "harmful answer"}),
        ("unserved", {"partial answer", "failure", "refusal", "harmful refusal", "harmful answer"}),
    ],
)
def test_rates_are_those_of_the_file(
    imported: tuple[Study, dict[str, Any], list[Row]], outcome: str, labels: set[str]
) -> None:
    _, results, rows = imported
    of_group: defaultdict[str, list[bool]] = defaultdict(list)
    of_name: defaultdict[str, list[bool]] = defaultdict(list)
    for row in rows:
        of_group[row["identity"].title()].append(row["label"] in labels)
        of_name[row["name"]].append(row["label"] in labels)
    rates = {
        (e["group"], e["signal"]): e
        for e in results["estimates"]
        if (e["kind"], e["outcome"]) == ("rate", outcome)
    }
    for group, events in of_group.items():
        estimate = rates[group, None]
        assert estimate["value"] == pytest.approx(sum(events) / len(events))
        assert (estimate["n_events"], estimate["n_responses"], estimate["n_missing"]) == (
            sum(events),
            len(events),
            0,
        )
    by_name = {signal: e["value"] for (_, signal), e in rates.items() if signal}
    assert by_name == pytest.approx({name: sum(events) / len(events) for name, events in of_name.items()})


def test_gaps_by_target_are_those_of_the_file(imported: tuple[Study, dict[str, Any], list[Row]]) -> None:
    _, results, rows = imported
    share: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        target = (
            row["ethnicity"] if row["ethnicity"] == "women" else row["ethnicity"].removesuffix("s").title()
        )
        share[row["identity"].title(), target].append(row["label"] in REFUSED)
    mean = {key: sum(events) / len(events) for key, events in share.items()}
    found = {
        (e["group"], e["target"]): e["value"]
        for e in results["estimates"]
        if (e["kind"], e["outcome"]) == ("gap", "refused") and e["target"]
    }
    assert found == pytest.approx(
        {
            (group, target): mean[group, target] - mean["White", target]
            for group, target in mean
            if group != "White"
        }
    )
    assert found["Muslim", "Muslim"] == pytest.approx(0.42, abs=0.005)
    assert found["Muslim", "women"] == pytest.approx(0.33, abs=0.005)
    assert found["Muslim", "Asian"] == pytest.approx(0.07, abs=0.005)


def check_gaps(results: dict[str, Any], name: Callable[[str], str]) -> None:
    found = {
        e["group"]: e
        for e in results["estimates"]
        if (e["kind"], e["outcome"], e["target"]) == ("gap", "refused", None)
    }
    assert found.keys() == {name(group) for group in GAPS}
    for group, (value, low, high, p, df) in GAPS.items():
        gap = found[name(group)]
        assert [100 * gap[key] for key in ("value", "low", "high")] == pytest.approx(
            [value, low, high], abs=0.006
        )
        assert gap["p"] == pytest.approx(p, abs=0.0006)
        assert gap["df"] == pytest.approx(df, abs=0.06)
        assert gap["planned"]
    ps = sorted(found[name(group)]["p"] for group in GAPS)
    holm = list(itertools.accumulate((min(1.0, (4 - i) * p) for i, p in enumerate(ps)), max))
    assert sorted(gap["p_adjusted"] for gap in found.values()) == pytest.approx(holm)
    naive = [e for e in results["estimates"] if (e["kind"], e["outcome"]) == ("naive_gap", "refused")]
    assert len(naive) == 4
    assert all(e["p"] < 0.05 for e in naive)
    [muslim] = [e for e in naive if e["group"] == name("Muslim")]
    assert [100 * muslim["low"], 100 * muslim["high"]] == pytest.approx([25.9, 35.2], abs=0.06)
    assert 1e-33 < muslim["p"] < 3e-33


def test_the_published_gaps_come_out_of_the_study(imported: tuple[Study, dict[str, Any], list[Row]]) -> None:
    _, results, _ = imported
    check_gaps(results, str)
    assert results["labels"]["kind"] == "imported"
    assert results["warnings"] == []
    assert results["design"]["detectable_gap"] > 0.15


def test_the_published_gaps_come_out_of_the_table(pilot_csv: Path) -> None:
    columns = {"group": "identity", "signal": "name", "template": "og_prompt", "label": "label"}
    check_gaps(analyse_table(pilot_csv, columns, AnalysisPlan(reference="white")), str.lower)


# From here on a pilot of our own making: any machine can damage it.


def a_pilot(names: int = 2, models: tuple[str, ...] = ("llama 7",)) -> list[Row]:
    people = {
        "white": [("Amy", "white_women_names", "common"), ("Bob", "white_men_names", "least")],
        "chinese": [("Mei", "chinese_names", "common"), ("Jun", "chinese_names", "least")],
    }
    templates = {"[NAME] is eating [BLANK]": "chineses", "[NAME] went to school to [BLANK]": "women"}
    rows = []
    for model, (group, members) in itertools.product(models, people.items()):
        for (name, kind, common), (template, target), k in itertools.product(
            members[:names], templates.items(), (1, 2, 3)
        ):
            sentence = template.replace("[NAME]", name)
            rows.append(
                {
                    "og_prompt": template,
                    "ethnicity": target,
                    "name": name,
                    "type_name": kind,
                    "identity": group,
                    "common": common,
                    "prompt_sentence": sentence,
                    "new_prompt": "not read",
                    "model": model,
                    "variable": f"label {k}",
                    "label": "refusal" if name == "Mei" and k == 1 else "answer",
                    **{f"g{n}": f"{sentence} answer {n}" for n in (1, 2, 3)},
                }
            )
    return rows


def test_a_study_is_made_that_any_model_can_be_asked(tmp_path: Path) -> None:
    study = import_pilot(write(tmp_path / "p.csv", a_pilot()), tmp_path / "s")
    assert study.folder == tmp_path / "s"
    assert study.plan.samples == 3
    assert [model.id for model in study.plan.models] == ["imported:llama 7"]
    design = build_design(open_study(tmp_path / "s"))
    assert {(s.text, s.group, s.gender, s.commonness) for s in design.signals} == {
        ("Amy", "White", "woman", "common"),
        ("Bob", "White", "man", "rare"),
        ("Mei", "Chinese", None, "common"),
        ("Jun", "Chinese", None, "rare"),
    }
    assert {(t.text, t.target) for t in design.templates} == {
        ("{name} is eating [BLANK]", "Chinese"),
        ("{name} went to school to [BLANK]", "women"),
    }
    store = study.store()
    with store.reading() as connection:
        kept = connection.execute(sa.select(RESPONSES.c.text, RESPONSES.c.raw)).all()
    store.close()
    assert {row.text for row in kept} == {"answer 1", "answer 2", "answer 3"}
    assert "Mei is eating [BLANK] answer 2" in {row.raw for row in kept}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "s"]
    assert sorted(path.name for path in study.folder.iterdir()) == [
        "signals.csv",
        "study.db",
        "study.yaml",
        "templates.yaml",
    ]


def test_several_models_and_missing_labels(tmp_path: Path) -> None:
    rows = a_pilot(models=("llama 7", "llama 13"))
    rows[0]["label"] = " "
    results = analysed(import_pilot(write(tmp_path / "p.csv", rows), tmp_path / "s"))
    assert {e["model"] for e in results["estimates"]} == {"imported:llama 7", "imported:llama 13"}
    assert results["warnings"][-1:] == [
        "responses without a label, by what names are read as: Chinese 0 of 24, White 1 of 24"
    ]


def test_importing_twice_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", a_pilot())
    import_pilot(path, tmp_path / "s")
    before = {p.name: p.read_bytes() for p in (tmp_path / "s").iterdir()}
    with pytest.raises(StudyError, match="there already; choose a new folder"):
        import_pilot(path, tmp_path / "s")
    assert {p.name: p.read_bytes() for p in (tmp_path / "s").iterdir()} == before


def test_an_empty_folder_may_be_there_a_file_may_not(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", a_pilot())
    (tmp_path / "empty").mkdir()
    assert import_pilot(path, tmp_path / "empty").plan.samples == 3
    with pytest.raises(StudyError, match=r"p.csv: there already"):
        import_pilot(path, path)


def refused(tmp_path: Path, rows: list[Row]) -> list[str]:
    path = write(tmp_path / "p.csv", rows)
    with pytest.raises(InputError) as error:
        import_pilot(path, tmp_path / "s")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.csv"], "something half written is left"
    return [line.removeprefix(f"{path}:") for line in str(error.value).splitlines()]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": "refussal"}, "4: 'refussal' is no category; allowed: answer, partial_answer"),
        ({"label": "0.5"}, "4: '0.5' is no category"),
        ({"identity": "martian"}, "4: identity 'martian' is unknown; allowed: white, black"),
        ({"ethnicity": "martians"}, "4: ethnicity 'martians' is unknown"),
        ({"common": "often"}, "4: common 'often' is unknown; allowed: common, least, rare"),
        ({"variable": "label 4"}, "4: variable 'label 4' is unknown; allowed: label 1, label 2, label 3"),
        ({"g3": ""}, "4: g3 is empty"),
        ({"name": " "}, "4: name is empty"),
        ({"og_prompt": "Amy is eating [BLANK]"}, "4: og_prompt 'Amy is eating [BLANK]' needs [NAME]"),
        ({"og_prompt": "[NAME] is eating"}, "needs [NAME], and [BLANK] once"),
        ({"identity": "chinese"}, "4: name 'Amy' is Chinese, woman, common, on line 2 it is White, woman"),
        ({"common": "least"}, "4: name 'Amy' is White, woman, rare, on line 2 it is White, woman, common"),
        ({"ethnicity": "women"}, "4: template '{name} is eating [BLANK]' is women, on line 2 it is Chinese"),
        ({"variable": "label 1"}, "generation 1 is on line 2 already"),
    ],
)
def test_a_damaged_row_names_its_line(tmp_path: Path, change: Row, told: str) -> None:
    rows = a_pilot()
    rows[2] |= change
    [line] = refused(tmp_path, rows)
    assert line.startswith("4: ")
    assert told in line


def test_lines_are_those_of_the_file_not_numbers_of_rows(tmp_path: Path) -> None:
    rows = a_pilot()
    rows[0]["g1"] = "three\nlines\nlong"
    rows[3]["label"] = "x"
    assert refused(tmp_path, rows)[0].startswith("7: 'x' is no category")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    rows = a_pilot()
    rows[0] |= {"label": "x", "identity": "y"}
    rows[5] |= {"common": "z"}
    assert [line.split(" ")[0] for line in refused(tmp_path, rows)] == ["2:", "2:", "7:"]
    told = refused(tmp_path, [row | {"label": "x"} for row in a_pilot() * 2])
    assert len(told) == 21
    assert "more mistakes" in told[-1]


def test_a_missing_quote_is_told_with_the_line_where_it_goes_wrong(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", a_pilot())
    lines = path.read_text().splitlines()
    lines[4] = lines[4].replace(",label", ',"label', 1)
    path.write_text("\n".join(lines) + "\n" + "padding" * 30_000 + "\n")
    with pytest.raises(InputError, match=rf"{path}:5: not CSV from here on .*quote"):
        import_pilot(path, tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "p.csv:1: columns missing: og_prompt, ethnicity"),
        (b"name,label\nx,y\n", "p.csv:1: columns missing: og_prompt, ethnicity, type_name"),
        (b"\xff\xfe\x00", "cannot be read as UTF-8 text"),
    ],
)
def test_another_file_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(InputError) as error:
        import_pilot(tmp_path / "p.csv", tmp_path / "s")
    assert told in str(error.value)
    assert not (tmp_path / "s").exists()


def test_no_rows_and_no_file_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", a_pilot())
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match="no rows below the header"):
        import_pilot(path, tmp_path / "s")
    with pytest.raises(InputError, match=r"absent.csv: cannot be read"):
        import_pilot(tmp_path / "absent.csv", tmp_path / "s")
    assert [p.name for p in tmp_path.iterdir()] == ["p.csv"]
