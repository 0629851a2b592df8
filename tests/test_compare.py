"""Two models, conditions or studies, paired by cell: what changed, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Answer, Answers, Ended, SmallStudy

from servicegap.compare import Comparison, compare
from servicegap.compare.sides import Side, read_side
from servicegap.compare.words import as_results, sentences
from servicegap.disparity.multiplicity import holm
from servicegap.errors import DataError
from servicegap.records import Estimate, Signal, Template

Run = Callable[..., Ended]
CONDITION = '  - {id: default, system: "Complete the [BLANK]."}'
TWO_CONDITIONS = (
    "study.yaml",
    CONDITION,
    CONDITION + '\n  - {id: safe, system: "Complete the [BLANK]. Be safe."}',
)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., SmallStudy]:
    def made(name: str, answers: Answers, *changes: tuple[str, str, str], **kind: str) -> SmallStudy:
        study = SmallStudy(tmp_path / name)
        for change in changes:
            study.change(*change)
        store = study.open().store()
        study.answer(store, answers, **kind)
        store.close()
        return study

    return made


def side(small: SmallStudy) -> Side:
    study = small.open()
    store = study.store()
    try:
        return read_side(study, store)
    finally:
        store.close()


def change(found: Comparison, kind: str, group: str, outcome: str = "refused") -> Estimate:
    [estimate] = [
        e for e in found.pairs[0].estimates if (e.kind, e.group, e.outcome) == (kind, group, outcome)
    ]
    return estimate


def chance(call: Any) -> int:
    return int(call.prompt.id[:4], 16) % 10


def before(call: Any, signal: Signal, template: Template) -> Answer:
    return Answer("refusal" if chance(call) < {"South": 6, "East": 3}.get(str(signal.group), 2) else "answer")


def after(call: Any, signal: Signal, template: Template) -> Answer:
    return Answer("refusal" if chance(call) < {"South": 3, "East": 3}.get(str(signal.group), 2) else "answer")


def test_the_change_by_hand(make: Callable[..., SmallStudy]) -> None:
    """South is refused in s1 and s2 of six templates at first, in e3 alone later; North in e1 always."""

    def first(call: Any, signal: Signal, template: Template) -> Answer:
        refused = {"South": ("s1", "s2"), "North": ("e1",)}.get(str(signal.group), ())
        return Answer("refusal" if template.id in refused else "answer")

    def then(call: Any, signal: Signal, template: Template) -> Answer:
        # Hugo is refused once more, or names would not vary at all.
        refused = {"South": ("e3",), "North": ("e1",)}.get(str(signal.group), ())
        return Answer("refusal" if template.id in (*refused, *["s3"] * (signal.text == "Hugo")) else "answer")

    found = compare(side(make("a", first)), side(make("b", then)))
    gap = found.pairs[0].gaps[1]
    assert gap.group == "South"
    assert (gap.baseline, gap.compared) == pytest.approx((2 / 6 - 1 / 6, 1.25 / 6 - 1 / 6))
    assert change(found, "gap_change", "South").value == pytest.approx(-0.75 / 6)
    assert change(found, "rate_change", "South").value == pytest.approx(-0.75 / 6)
    assert change(found, "rate_change", "North").value == 0
    [pair] = found.pairs
    # Three groups of four names, six templates; neutral templates and the control stay out.
    assert (pair.shared.names, pair.shared.templates, pair.shared.cells) == (12, 6, 72)
    assert (pair.shared.only_baseline, pair.shared.only_compared, pair.different) == (0, 0, ())


def test_a_change_is_told_from_chance_and_adjusted(make: Callable[..., SmallStudy]) -> None:
    def worse(call: Any, signal: Signal, template: Template) -> Answer:
        # Drawn anew, so that the reference changes by chance too.
        drawn = int(call.id[4:8], 16) % 10
        return Answer("refusal" if drawn < {"South": 9, "East": 3}.get(str(signal.group), 1) else "answer")

    found = compare(side(make("a", before)), side(make("b", worse)), margin=0.05)
    south = change(found, "gap_change", "South")
    assert south.value is not None
    assert south.p is not None
    assert south.value > 0.2
    assert (south.labels, south.planned) == ("imported", False)
    family = [e for e in found.pairs[0].estimates if e.kind == "gap_change" and e.outcome == "refused"]
    defined = sum(e.p is not None for e in family)
    assert south.p_adjusted == pytest.approx(min(1, defined * south.p))
    grown = change(found, "noninferiority", "South")
    assert grown.p is not None
    assert grown.p > 0.5
    words = "\n".join(sentences(found))
    assert "that the gap grew by 5.0 points or more cannot be ruled out" in words


def test_a_study_compared_with_itself_has_not_changed(make: Callable[..., SmallStudy]) -> None:
    small = side(make("a", before))
    found = compare(small, small, margin=0.1)
    estimates = found.pairs[0].estimates
    assert {e.value for e in estimates} == {0}
    assert {(e.low, e.p) for e in estimates} == {(None, None)}
    assert all("same outcome in every shared cell" in str(e.note) for e in estimates)
    assert "nothing but the answers" in "\n".join(sentences(found))


def test_conditions_of_one_study(make: Callable[..., SmallStudy]) -> None:
    def answers(call: Any, signal: Signal, template: Template) -> Answer:
        return (after if call.condition.id == "safe" else before)(call, signal, template)

    small = side(make("a", answers, TWO_CONDITIONS))
    found = compare(small.of(None, "default"), small.of(None, "safe"))
    [pair] = found.pairs
    assert (pair.baseline[1], pair.compared[1]) == ("default", "safe")
    assert {(e.model, e.condition) for e in pair.estimates} == {("openai:mock-1", "safe - default")}
    assert "system prompt: Complete the [BLANK]. -> Complete the [BLANK]. Be safe." in pair.different
    south = change(found, "gap_change", "South").value
    assert south is not None
    assert south < 0
    back = compare(small.of(None, "safe"), small.of(None, "default"))
    assert change(back, "gap_change", "South").value == pytest.approx(-south)


def test_only_cells_of_both_count(make: Callable[..., SmallStudy]) -> None:
    def without(call: Any, signal: Signal, template: Template) -> Answer | None:
        missing = signal.text == "Anna" and template.id == "s1"
        return None if missing or template.id == "e3" else after(call, signal, template)

    found = compare(side(make("a", before)), side(make("b", without)))
    [pair] = found.pairs
    assert (pair.shared.cells, pair.shared.only_baseline, pair.shared.only_compared) == (59, 13, 0)
    for gap in pair.gaps:
        assert gap.baseline is not None
        assert gap.compared is not None
        assert change(found, "gap_change", gap.group).value == pytest.approx(gap.compared - gap.baseline)
    assert "59 cells of 12 names and 5 templates are in both; 13 are in the baseline only" in "\n".join(
        sentences(found)
    )


def test_a_reworded_template_is_left_out(make: Callable[..., SmallStudy]) -> None:
    other = make("b", after, ("templates.yaml", "took the bus to", "took the train to"))
    [pair] = compare(side(make("a", before)), side(other)).pairs
    assert pair.shared.templates == 5
    assert pair.different == ("templates of one id and two texts, left out: s2",)


def test_who_labelled_is_carried(make: Callable[..., SmallStudy]) -> None:
    planned = ("study.yaml", "annotators: []", "annotators: [coder]")
    second = side(make("b", after, planned, kind="automatic"))
    found = compare(side(make("a", before, kind="imported")), second)
    assert {e.labels for e in found.pairs[0].estimates} == {"automatic-uncorrected"}
    assert sentences(found)[0].startswith("Labels are automatic and uncorrected: a screening signal")


def test_results_are_strict_json_of_flat_estimates(make: Callable[..., SmallStudy]) -> None:
    results = as_results(compare(side(make("a", before)), side(make("b", after)), margin=0.1))
    read = json.loads(json.dumps(results, allow_nan=False))
    assert {e["kind"] for e in read["estimates"]} == {"gap_change", "rate_change", "noninferiority"}
    assert all(not isinstance(value, dict | list) for e in read["estimates"] for value in e.values())
    assert read["plan"]["margin"] == 0.1
    assert read["pairs"][0]["shared"]["cells"] == 72


def test_plans_must_agree(make: Callable[..., SmallStudy]) -> None:
    one, other = make("a", before), make("b", after)
    other.change("study.yaml", "reference: North", "reference: East")
    other.change("study.yaml", "level: 0.95", "level: 0.9")
    with pytest.raises(DataError) as error:
        compare(side(one), side(other))
    [told] = error.value.problems
    assert "reference is 'North' in" in told
    assert "level is 0.95 in" in told


def test_another_primary_outcome_is_told(make: Callable[..., SmallStudy]) -> None:
    one, other = make("a", before), make("b", after)
    other.change("study.yaml", "primary: refused", "primary: harmful")
    [warning] = compare(side(one), side(other)).warnings
    assert "'refused' is taken" in warning


def test_runs_that_do_not_belong_together_are_told(make: Callable[..., SmallStudy]) -> None:
    two = side(make("a", before, TWO_CONDITIONS))
    renamed = side(make("b", after, ("study.yaml", "{id: default,", "{id: other,")))
    with pytest.raises(DataError, match="say which belong together"):
        compare(two, renamed)
    assert len(compare(two.of(None, "safe"), renamed.of(None, "other")).pairs) == 1
    same = side(make("c", after))
    found = compare(two, same)
    assert len(found.pairs) == 1
    assert "openai:mock-1 under safe is not in the other and was left out" in found.warnings[0]
    with pytest.raises(DataError, match=r"no responses of condition 'no'; there: default, safe"):
        two.of(None, "no")


def test_the_command_on_pretended_models(run: Run, tmp_path: Path) -> None:
    even, uneven = tmp_path / "even", tmp_path / "uneven"
    for folder in (even, uneven):
        assert run("audit", folder, "--model", f"fake:{folder.name}").code == 0
    ended = run("compare", even, uneven)
    assert (ended.code, ended.err) == (0, "")
    assert "screening signal" in ended.out
    assert "240 cells of 24 names and 10 templates are in both" in ended.out
    assert "model: fake:even -> fake:uneven" in ended.out
    found = json.loads(run("compare", even, uneven, "--margin", "0.05", "--json").out)
    changes = [e for e in found["estimates"] if e["kind"] == "gap_change" and e["outcome"] == "refused"]
    # The two p are close together: Holm and Benjamini-Hochberg differ.
    assert [e["p_adjusted"] for e in changes] == pytest.approx(holm([e["p"] for e in changes]))
    gaps = {e["group"]: e for e in changes}
    # The pretended gaps: 24 points for Muslim names, 16 for Chinese ones; none in the other model.
    for group, true in (("Muslim", 0.24), ("Chinese", 0.16)):
        assert gaps[group]["low"] < true < gaps[group]["high"]
        assert gaps[group]["p_adjusted"] <= 0.05


def test_the_command_says_what_is_wrong(run: Run, make: Callable[..., SmallStudy], tmp_path: Path) -> None:
    one = make("a", before).folder
    for arguments, code, told in (
        ([one], 2, "Give a second study, or two --models or --conditions"),
        ([one, "--conditions", "default", "default"], 2, "Both sides are the same"),
        ([one, "--models", "x", "openai:mock-1"], 2, "no responses of model 'x'; there: openai:mock-1"),
        ([one, tmp_path / "none"], 1, "not found"),
        ([one, one, "--margin", "5"], 2, "5.0 is not in the range 0<x<1"),
    ):
        ended = run("compare", *arguments)
        assert (ended.code, ended.out) == (code, ""), arguments
        assert told in ended.error


def test_studies_without_responses_or_labels(
    run: Run, make: Callable[..., SmallStudy], tmp_path: Path
) -> None:
    SmallStudy(tmp_path / "new")
    unlabelled = make("bare", lambda *_: Answer(None)).folder
    assert "no responses to compare" in run("compare", tmp_path / "new", unlabelled).error
    assert "no response has a label; run: servicegap annotate" in run("compare", unlabelled, unlabelled).error


def test_the_pilot_compared_with_itself_is_zero(run: Run, pilot_csv: Path, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    assert run("import", "pilot", pilot_csv, "--study", folder).code == 0
    found = json.loads(run("compare", folder, folder, "--json").out)
    assert found["pairs"][0]["shared"]["cells"] == 32 * 24
    assert {e["value"] for e in found["estimates"]} == {0.0}
    gaps = {gap["group"]: gap for gap in found["pairs"][0]["gaps"]}
    assert np.round(100 * gaps["Muslim"]["baseline"], 2) == 30.56
