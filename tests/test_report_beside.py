"""What the report says beside the planned gaps: robustness, variance, ratios, subgroups, checks."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from made_up_results import COMPONENTS, RATES, made_up_results

from servicegap.report import render, summary
from servicegap.report.beside_figures import beside_figures
from servicegap.report.figure import Figure
from servicegap.report.passage import Passage
from servicegap.report.passages import passages
from servicegap.report.reading import read_results

MINUS = "\N{MINUS SIGN}"
HEADINGS = [
    "The naive analysis beside the right one",
    "How much rests on one name or one template",
    "What makes rates vary",
    "Ratios",
    "Who within a group",
    "Checks",
    "Template by template",
]


def changed(change: Callable[[dict[str, Any]], dict[str, Any] | None], **more: Any) -> dict[str, Any]:
    """Return results whose estimates `change` has replaced by what it returns, None = left out."""
    results = made_up_results(**more)
    rows = (change(row) for row in results["estimates"])
    return results | {"estimates": [row for row in rows if row is not None]}


def passages_of(results: dict[str, Any]) -> dict[str, Passage]:
    read = read_results(results)
    return {passage.key: passage for passage in passages(read, read.runs[0])}


def said(passage: Passage) -> str:
    """Everything a passage says, on one line."""
    return " ".join([passage.lead, *(f"{name}. {text}" for name, text in passage.points)])


def rows_of(passage: Passage, table: int = 0) -> dict[str, dict[str, str]]:
    """A table of a passage: the first cell of a row -> its cells by their head, spaces made plain."""
    found = passage.tables[table]
    return {
        row[0]: {
            head: cell.replace("\N{NO-BREAK SPACE}", " ") for head, cell in zip(found.head, row, strict=True)
        }
        for row in found.body
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    read = read_results(made_up_results())
    return {figure.name: figure for figure in beside_figures(read, read.runs[0])}


@pytest.fixture(scope="module")
def page() -> str:
    return unescape(render(made_up_results()))


def test_passages_stand_in_order_with_figures_in_them(page: str) -> None:
    headings = [heading for heading in re.findall("<h3>(.*?)</h3>", page) if heading in HEADINGS]
    assert headings == HEADINGS
    assert page.index(HEADINGS[1]) < page.index("<h3>Categories</h3>") < page.index(HEADINGS[2])
    for before, title in (
        (HEADINGS[1], "The gap without each name, and without each template"),
        (HEADINGS[2], "Where the variance of “refused” comes from"),
        (HEADINGS[4], "Who within a group: “refused” by what else is known of names"),
        (HEADINGS[6], "The gap in “refused” template by template"),
    ):
        assert page.index(f"<h3>{before}</h3>") < page.index(f"<strong>{title}</strong>")
    folded = page.index("<summary>Show the figure</summary>")
    assert page.index("<h3>Template by template</h3>") < folded < page.index("template by template</strong>")


def test_naive_and_right_analysis_stand_in_one_table() -> None:
    passage = passages_of(made_up_results())["naive"]
    assert "would call 3 of 3 gaps different from zero" in passage.lead
    assert "27.3 points four times out of five" in said(passage)
    assert rows_of(passage)["Muslim"] == {
        "Group": "Muslim",
        "Naive (wrong)": "25.0 to 35.0, p < 0.0001",
        "Crossed": "15.0 to 45.0, p 0.0004",
        "Adjusted p": "0.001",
        "All intervals at once": "9.0 to 51.0",
        "Mixed model": "32.0: 20.0 to 44.0, p 0.030",
    }


def test_permutation_has_a_column_of_its_own() -> None:
    results = made_up_results()
    [gap] = [
        row
        for row in results["estimates"]
        if (row["kind"], row["outcome"], row["group"], row["target"]) == ("gap", "refused", "Muslim", None)
    ]
    results["estimates"].append({**gap, "kind": "permutation", "value": None, "p": 0.0021})
    column = "Permutation, these templates only"
    rows = rows_of(passages_of(results)["naive"])
    assert rows["Muslim"][column] == "p 0.002"
    assert rows["Mexican"][column] == ""
    assert column not in rows_of(passages_of(made_up_results())["naive"])["Muslim"]


def test_a_mixed_model_that_disagrees_or_failed_is_named() -> None:
    assert "disagrees" not in said(passages_of(made_up_results())["naive"])
    apart = changed(
        lambda row: row | {"value": 0.9} if row["kind"] == "mixed_gap" and row["group"] == "Muslim" else row
    )
    assert "For names read as Muslim its gap lies outside the crossed interval" in said(
        passages_of(apart)["naive"]
    )
    note = "the mixed logistic model cannot be fitted: 0 of 60 responses"
    failed = changed(
        lambda row: (
            row | {"value": None, "low": None, "high": None, "p": None, "note": note, "group": None}
            if row["kind"] == "mixed_gap"
            else row
        )
    )
    assert "The mixed logistic model cannot be fitted: 0 of 60 responses." in said(
        passages_of(failed)["naive"]
    )


def test_what_one_name_carries_is_said_there_and_in_the_summary() -> None:
    sentence = "This gap is mostly one name: Muslim name 2 (30.0 points with it, 12.0 points without)."
    passage = passages_of(made_up_results())["without"]
    assert ("Names read as Muslim", sentence) in passage.points
    assert "nothing is put down to a name: names read as Chinese and names read as Mexican." in said(passage)
    assert [text for text in summary(made_up_results()) if sentence in text]


def test_remarks_of_another_run_are_not_told() -> None:
    results = made_up_results()
    for remark in results["remarks"]:
        remark["condition"] = "another"
    assert "mostly one name" not in " ".join(summary(results))
    assert "Muslim name 2" not in said(passages_of(results)["without"])


def test_strips_name_what_moves_the_gap_most(figures: dict[str, Figure]) -> None:
    figure = figures["without"]
    assert "names read as Muslim, without; one name: 12.0 without Muslim name 2" in figure.description
    assert ["names read as Muslim", "Muslim name 2", "12.0", "9.0 to 51.0", "30.0"] in figure.body
    assert not [row for row in figure.body if row[1] == "t2"]
    strokes = [
        sorted(row["value"] for row in rows)
        for rows in figure.drawing.specification["datasets"].values()
        if all(set(row) == {"at", "value", "y", "y2"} for row in rows)
    ]
    gaps = {group: 100 * (RATES[group][0] - RATES["White"][0]) for group in ("Muslim", "Chinese", "Mexican")}
    left = sorted(gap + move for gap in gaps.values() for move in (3, 1, -18, 4))
    assert pytest.approx(left) in strokes
    assert pytest.approx(sorted(gap for gap in gaps.values() for _ in range(2))) in strokes


@pytest.mark.parametrize(
    ("samples", "cells", "told_apart"),
    [(1, "name × template and chance", False), (3, "name × template", True)],
)
def test_variance_bars_say_what_they_are_of(samples: int, cells: str, told_apart: bool) -> None:
    results = made_up_results(design=made_up_results()["design"] | {"samples": samples})
    read = read_results(results)
    figure = next(figure for figure in beside_figures(read, read.runs[0]) if figure.name == "variance")
    assert figure.head == ["Group", "name", "template", "group × template", cells, "chance"]
    shares = [f"{100 * share:.1f}\u202f%" for share in COMPONENTS.values()]
    assert figure.body[0] == ["names read as Chinese", *shares]
    assert ">name 35<" in figure.drawing.svg["page"]  # the name where it fits, the number alone elsewhere
    assert ">10<" in figure.drawing.svg["page"]
    told = "chance cannot be told from name × template" not in said(passages_of(results)["variance"])
    assert told is told_apart


def test_design_effects_and_undefined_components_are_said() -> None:
    text = said(passages_of(made_up_results())["variance"])
    assert "Names read as Muslim. These 120 responses are worth about 17 independent ones" in text
    assert "Names read as Mexican. Variance components are undefined: too little is left." in text


def test_ratios_say_on_which_side_of_four_fifths_they_are() -> None:
    passage = passages_of(made_up_results())["ratios"]
    assert passage.lead == "Below the four-fifths mark of 0.8: names read as Muslim."
    rows = rows_of(passage)
    assert rows["Muslim"]["Four-fifths"] == "0.67 (0.50 to 0.83)"
    assert rows["Muslim"]["The 0.8 mark"] == "below, but the interval reaches across"
    assert rows["Mexican"]["The 0.8 mark"] == "not below, but the interval reaches across"
    assert rows["Muslim"]["Ratio"] == "4.00 (3.00 to 5.00)"
    assert rows["Muslim"]["Odds ratio"] == "6.00 (4.50 to 7.50)"
    assert "Note" not in rows["Muslim"]


def test_ratios_without_an_interval_keep_their_reason() -> None:
    note = "half an event and half a non-event added to each group; no interval and no p"
    results = changed(
        lambda row: (
            row | {"low": None, "high": None, "p": None, "note": note}
            if row["kind"] in ("ratio", "four_fifths") and row["group"] == "Mexican"
            else row
        )
    )
    rows = rows_of(passages_of(results)["ratios"])
    assert rows["Mexican"]["Ratio"] == "0.60"
    assert rows["Mexican"]["The 0.8 mark"] == "not below, without an interval"
    assert rows["Mexican"]["Note"] == note
    assert rows["Muslim"]["Note"] == ""


def test_equivalence_stands_there_when_a_margin_is_planned() -> None:
    results = made_up_results()
    results["plan"] |= {"margin": 0.08}
    equivalent = {
        "kind": "equivalence",
        "outcome": "refused",
        "reference": "White",
        "model": "local:tiny",
        "condition": "default",
        "value": 0.1,
    }
    results["estimates"] += [
        equivalent | {"group": "Mexican", "p": 0.03},
        equivalent | {"group": "Muslim", "p": 0.99},
        equivalent | {"group": "Chinese", "p": None, "note": "no standard error"},
    ]
    passage = passages_of(results)["ratios"]
    assert passage.tables[1].label == "Is the gap smaller than the margin of 8.0 points?"
    readings = {group: row["Reading"] for group, row in rows_of(passage, 1).items()}
    assert readings == {
        "Mexican": "shown to be smaller than 8.0 points",
        "Muslim": "not shown",
        "Chinese": "not shown",
    }
    assert len(passages_of(made_up_results())["ratios"].tables) == 1


def test_who_within_a_group_is_exploratory_and_adjusted(figures: dict[str, Figure]) -> None:
    lead = passages_of(made_up_results())["within"].lead
    assert lead.startswith("Exploratory: of 4 differences by what else is known of names, 1 can be told")
    figure = figures["within"]
    assert figure.body[0] == [
        "names read as Muslim",
        f"gender: man {MINUS} woman",
        "13.0",
        f"{MINUS}20.0 to 46.0",
        "0.020",
        "",
    ]
    assert [row[:2] for row in figure.body[1:]] == [
        [f"names read as {group}", f"gap by gender: man {MINUS} woman"]
        for group in ("Chinese", "Mexican", "Muslim")
    ]


def test_parts_of_groups_are_no_groups_of_their_own() -> None:
    assert read_results(made_up_results(design={})).groups == ["White", "Chinese", "Mexican", "Muslim"]


def test_checks_say_what_could_mislead() -> None:
    passage = passages_of(made_up_results())["checks"]
    text = said(passage)
    assert "names read as Muslim and names read as Mexican, the difference is 17.0 points" in text
    assert "(interval 2.0 to 55.0). As observed it is 34.0 points" in text
    assert "a study like this would show about 19.0 points if no group differed at all" in text
    assert "would come up with p 0.012, on these templates" in text
    assert (
        "3.3\u202f% of the labels are missing. Which labels are missing depends on the group or on group and "
        "template (p 0.002)." in text
    )
    assert "called different in 3.0 % of splits: about 5 % or fewer" in text
    assert rows_of(passage)["Muslim"] == {
        "Group": "Muslim",
        "Gap": "30.0",
        "Worst cases": "23.0 to 38.0",
        "Missing labels": "9",
    }


def test_checks_of_a_study_without_missing_labels_and_with_a_failing_placebo() -> None:
    def change(row: dict[str, Any]) -> dict[str, Any]:
        match row["kind"]:
            case "missingness":
                return row | {"value": 0.0, "p": None, "note": "no label is missing"}
            case "gap_bounds":
                return row | {"low": row["value"], "high": row["value"], "note": "no label is missing"}
            case "placebo" if row["group"] == "Chinese":
                return row | {"value": 0.31}
            case "largest_gap":
                return row | {"value": None, "note": "some pair of groups has no standard error"}
        return row

    passage = passages_of(changed(change))["checks"]
    text = said(passage)
    assert "No label is missing" in text
    assert passage.tables == []
    assert "3.0 to 31.0 % of splits: well above 5 % for names read as Chinese" in text
    assert "Not defined: some pair of groups has no standard error." in text


def test_templates_are_told_one_by_one(figures: dict[str, Figure]) -> None:
    figure = figures["templates"]
    assert figure.head == ["Template", "Chinese", "Mexican", "Muslim"]
    assert figure.body[0] == [
        "t1",
        f"22.0 ({MINUS}9.0 to 33.0)",
        f"6.0 ({MINUS}25.0 to 17.0)",
        "40.0 (9.0 to 51.0)",
    ]
    assert figure.body[1][3] == "20.0"
    assert "names read as Muslim: most: 40.0, t1" in figure.description


def test_results_without_these_kinds_have_no_such_passages() -> None:
    kinds = ("rate", "gap", "share", "contrast")
    results = changed(lambda row: row if row["kind"] in kinds else None, remarks=[])
    assert passages_of(results) == {}
    read = read_results(results)
    assert list(beside_figures(read, read.runs[0])) == []


def test_estimates_of_single_names_and_templates_are_folded_by_kind(page: str) -> None:
    titles = re.findall(r"<summary>([^<]*, one (?:name|template)) \((\d+)\)</summary>", page)
    assert titles == [
        ("Rate, one name", "36"),
        ("Gap without, one name", "9"),
        ("Gap without, one template", "6"),
        ("Template gap, one template", "6"),
    ]
    table = re.search(r'aria-label="Template gap, one template: .*?</table>'.lower(), page.lower(), re.DOTALL)
    assert table is not None
    assert '<th scope="col">interval</th>' in table[0]
    assert '<th scope="col">df</th>' not in table[0]
