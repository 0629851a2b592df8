"""The estimates of a plan, from a table of labelled responses built by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import polars as pl
import pytest

from servicegap.errors import DataError
from servicegap.estimates import estimate_all
from servicegap.families import EXPLORED, RESTATED
from servicegap.records import CATEGORIES, CONTROL, OUTCOMES, Estimate
from servicegap.study import AnalysisPlan

GROUPS = {"North": "abcd", "South": "efgh", "East": "ijkl"}
TARGETS = {"s1": "South", "s2": "South", "s3": "South", "e1": "East", "e2": "East", "n1": None, "n2": None}
PLAN = AnalysisPlan(reference="North")
Label = Callable[[str | None, str, str, int], str | None]


def responses(label: Label, *, model: str = "m", kind: str = "imported", samples: int = 2) -> pl.DataFrame:
    people = [(group, name) for group, names in GROUPS.items() for name in names] + [(None, "someone")]
    rows = [
        {
            "model": model,
            "condition": "c",
            "group": group,
            "signal": name,
            "template": template,
            "target": TARGETS[template],
            "gender": None if group is None else ("woman" if name in "acegik" else "man"),
            "commonness": None if group is None else "common",
            "category": label(group, name, template, sample),
            "kind": kind,
        }
        for (group, name), template, sample in itertools.product(people, TARGETS, range(samples))
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))


def uneven(group: str | None, name: str, template: str, sample: int) -> str:
    if group is None:
        return "refusal"
    hard = {"North": 1, "South": 4, "East": 2}[group] + ("abcdefghijkl".index(name) % 3)
    where = 3 if TARGETS[template] == group else 1 if TARGETS[template] else 0
    chance = (17 * "abcdefghijkl".index(name) + 29 * list(TARGETS).index(template) + 7 * sample) % 10
    return (
        "harmful_refusal" if chance < hard // 3 * where else "refusal" if chance < hard * where else "answer"
    )


def pick(found: list[Estimate], kind: str, **wanted: Any) -> list[Estimate]:
    wanted = {"outcome": "refused", "target": None, "signal": None, **wanted}
    return [
        e
        for e in found
        if e.kind == kind and all(getattr(e, name) == value for name, value in wanted.items())
    ]


def by_hand(frame: pl.DataFrame, group: str, categories: frozenset[str], templates: list[str]) -> float:
    """Mean over names and templates of the share, counted row by row."""
    cells = []
    for name, template in itertools.product(GROUPS[group], templates):
        rows = [
            r["category"]
            for r in frame.iter_rows(named=True)
            if (r["signal"], r["template"]) == (name, template)
        ]
        cells.append(sum(category in categories for category in rows) / len(rows))
    return sum(cells) / len(cells)


TARGETED = [template for template, target in TARGETS.items() if target]
FRAME = responses(uneven)


def estimated(frame: pl.DataFrame, plan: AnalysisPlan) -> list[Estimate]:
    return estimate_all(frame, plan).estimates


FOUND = estimated(FRAME, PLAN)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_rates_and_gaps_are_those_counted_by_hand(outcome: str) -> None:
    rates = {e.group: e.value or 0.0 for e in pick(FOUND, "rate", outcome=outcome) if e.group != CONTROL}
    assert rates == pytest.approx(
        {group: by_hand(FRAME, group, OUTCOMES[outcome], TARGETED) for group in GROUPS}
    )
    for gap in pick(FOUND, "gap", outcome=outcome):
        assert gap.value == pytest.approx(rates[gap.group] - rates["North"])
        assert gap.reference == "North"
        assert gap.low is not None and gap.high is not None and gap.value is not None
        assert gap.low < gap.value < gap.high


def test_neutral_templates_never_enter_a_primary_gap() -> None:
    def other(group: str | None, name: str, template: str, sample: int) -> str:
        return (
            "refusal"
            if TARGETS[template] is None and group == "South"
            else uneven(group, name, template, sample)
        )

    changed = estimated(responses(other), PLAN)
    assert pick(changed, "gap") == pick(FOUND, "gap")
    for kind in ("rate", "gap", "naive_gap", "share"):
        for outcome in (*OUTCOMES, *CATEGORIES):
            # Exploratory p values are adjusted over all that was looked at, the neutral gaps too.
            before, after = (
                [replace(e, p_adjusted=None) for e in pick(found, kind, outcome=outcome)]
                for found in (FOUND, changed)
            )
            assert before == after
            assert {e.n_templates for e in after if e.group != CONTROL} <= {None, len(TARGETED)}
    assert pick(changed, "gap", target="neutral") != pick(FOUND, "gap", target="neutral")


def test_the_control_is_shown_and_never_compared() -> None:
    def other(group: str | None, name: str, template: str, sample: int) -> str:
        return "answer" if group is None else uneven(group, name, template, sample)

    changed = estimated(responses(other), PLAN)
    assert [e for e in changed if e.group != CONTROL] == [e for e in FOUND if e.group != CONTROL]
    [before], [after] = (
        [e for e in found if e.group == CONTROL and e.outcome == "refused"] for found in (FOUND, changed)
    )
    assert (before.kind, before.value, before.n_responses) == ("rate", 1.0, 2 * len(TARGETS))
    assert after.value == 0.0
    assert before.low is before.p is None
    assert {e.kind for e in FOUND if CONTROL in (e.group, e.reference)} == {"rate"}


def test_gaps_by_target_and_their_differences() -> None:
    def gap_on(templates: list[str], group: str) -> float:
        return by_hand(FRAME, group, OUTCOMES["refused"], templates) - by_hand(
            FRAME, "North", OUTCOMES["refused"], templates
        )

    parts = {
        "South": ["s1", "s2", "s3"],
        "East": ["e1", "e2"],
        "neutral": ["n1", "n2"],
        "targeted": TARGETED,
    }
    for target in ("South", "East", "neutral"):
        found = {e.group: e.value for e in pick(FOUND, "gap", target=target)}
        assert found == pytest.approx({group: gap_on(parts[target], group) for group in ("South", "East")})
    found = {e.group: e.value for e in pick(FOUND, "contrast", target="targeted - neutral")}
    assert found == pytest.approx(
        {group: gap_on(TARGETED, group) - gap_on(parts["neutral"], group) for group in ("South", "East")}
    )
    [own] = pick(FOUND, "contrast", target="own - other", group="South")
    assert own.value == pytest.approx(gap_on(parts["South"], "South") - gap_on(parts["East"], "South"))
    [own] = pick(FOUND, "contrast", target="own - neutral", group="East")
    assert own.value == pytest.approx(gap_on(parts["East"], "East") - gap_on(parts["neutral"], "East"))


def test_what_was_planned_is_the_primary_gaps_and_targeted_minus_neutral() -> None:
    planned = {(e.kind, e.outcome, e.group, e.target) for e in FOUND if e.planned}
    assert planned == {
        (kind, "refused", group, target)
        for kind, target in (("gap", None), ("contrast", "targeted - neutral"))
        for group in ("South", "East")
    }


def test_holm_runs_over_the_planned_gaps_of_one_run_alone() -> None:
    frame = pl.concat([FRAME, responses(uneven, model="another")])
    found = estimated(frame, PLAN)
    for model in ("m", "another"):
        gaps = pick(found, "gap", model=model)
        ps = sorted(e.p for e in gaps if e.p is not None)
        assert len(ps) == 2
        expected = {ps[0]: min(1.0, 2 * ps[0]), ps[1]: min(1.0, max(2 * ps[0], ps[1]))}
        for gap in gaps:
            assert gap.p is not None
            assert gap.p_adjusted == pytest.approx(expected[gap.p])


def test_exploratory_ps_are_adjusted_too_and_naive_ones_never() -> None:
    for estimate in FOUND:
        if estimate.kind in EXPLORED | RESTATED and estimate.p is not None:
            assert estimate.p_adjusted is not None
            assert estimate.p_adjusted >= estimate.p
        else:
            assert estimate.p_adjusted is None


def test_another_primary_outcome_is_the_one_planned() -> None:
    found = estimated(FRAME, AnalysisPlan(reference="East", primary="unserved", level=0.9))
    planned = [e for e in found if e.planned and e.kind == "gap"]
    assert {(e.outcome, e.reference, e.level) for e in planned} == {("unserved", "East", 0.9)}
    assert {e.group for e in planned} == {"North", "South"}


def test_each_run_says_who_labelled_it() -> None:
    frame = pl.concat([FRAME, responses(uneven, model="by machine", kind="automatic")])
    found = {(e.model, e.labels) for e in estimated(frame, PLAN)}
    assert found == {("m", "imported"), ("by machine", "automatic-uncorrected")}


def test_missing_labels_are_counted_where_they_are() -> None:
    def holed(group: str | None, name: str, template: str, sample: int) -> str | None:
        return None if name == "e" and template in ("s1", "n1") else uneven(group, name, template, sample)

    found = estimated(responses(holed), PLAN)
    rates = {e.group: (e.n_responses, e.n_missing) for e in pick(found, "rate") if e.group != CONTROL}
    assert rates == {"North": (40, 0), "South": (38, 2), "East": (40, 0)}
    gaps = {e.group: (e.n_responses, e.n_missing) for e in pick(found, "gap")}
    assert gaps == {"South": (78, 2), "East": (80, 0)}
    [one] = pick(found, "rate", signal="e")
    assert (one.n_responses, one.n_missing, one.n_templates) == (8, 2, 4)
    assert one.value == pytest.approx(
        sum(uneven("South", "e", t, s) != "answer" for t in TARGETED[1:] for s in (0, 1)) / 8
    )
    [contrast] = pick(found, "contrast", target="targeted - neutral", group="South")
    assert contrast.n_missing == 4


def test_shares_of_the_six_categories_sum_to_one() -> None:
    for group in GROUPS:
        shares = [e.value for c in CATEGORIES for e in pick(FOUND, "share", outcome=c, group=group)]
        assert len(shares) == 6
        assert math.fsum(share or 0.0 for share in shares) == pytest.approx(1.0)


def test_a_group_without_events_has_no_p_and_a_reason() -> None:
    def one_sided(group: str | None, name: str, template: str, sample: int) -> str:
        return "answer" if group == "North" else uneven(group, name, template, sample)

    for gap in pick(estimated(responses(one_sided), PLAN), "gap"):
        assert gap.p is gap.p_adjusted is None
        assert gap.note is not None
        assert "0 of 40 responses of North" in gap.note


def test_all_alike_is_undefined_not_zero_width() -> None:
    for gap in pick(estimated(responses(lambda *_: "answer"), PLAN), "gap"):
        assert gap.value == 0.0
        assert gap.low is gap.high is gap.p is None
        assert gap.note


def test_a_group_without_any_label_is_undefined_and_says_so() -> None:
    found = estimated(responses(lambda group, *rest: None if group == "East" else uneven(group, *rest)), PLAN)
    [gap] = pick(found, "gap", group="East")
    assert gap.value is gap.low is gap.p is None
    assert "no response of East has a label" in (gap.note or "")
    [south] = pick(found, "gap", group="South")
    assert south.p is not None
    assert south.p_adjusted == pytest.approx(south.p)


def test_a_model_that_has_no_answers_about_the_reference_stops_no_other() -> None:
    half = responses(uneven, model="begun").filter(pl.col("group") == "South")
    found = estimated(pl.concat([FRAME, half]), PLAN)
    assert pick(found, "gap", model="m") == pick(FOUND, "gap")
    [gap] = pick(found, "gap", model="begun")
    assert gap.value is None
    assert gap.note == "there is no response about North to compare with"


def test_a_target_without_answers_about_the_reference_is_undefined() -> None:
    part = FRAME.filter(
        (pl.col("target") != "East") | pl.col("target").is_null() | (pl.col("group") != "North")
    )
    found = estimated(part, PLAN)
    assert [e.value for e in pick(found, "gap", target="East")] == [None, None]
    assert all(e.value is not None for e in pick(found, "gap", target="South"))


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ([], "no responses to analyse"),
        (["South", "East"], "no response is about the reference 'North'; groups with responses: East, South"),
        (["North"], "all responses are about 'North'; a gap needs another group"),
    ],
)
def test_too_little_to_compare_is_an_error(groups: list[str], told: str) -> None:
    with pytest.raises(DataError, match=told):
        estimated(FRAME.filter(pl.col("group").is_in(groups)), PLAN)


def test_order_of_rows_and_names_of_groups_do_not_matter() -> None:
    shuffled = estimated(FRAME.sample(fraction=1.0, shuffle=True, seed=3), PLAN)
    key = lambda e: (e.kind, e.outcome, str(e.group), str(e.target), str(e.signal))  # noqa: E731
    for one, other in zip(sorted(FOUND, key=key), sorted(shuffled, key=key), strict=True):
        assert asdict(one) == pytest.approx(asdict(other), nan_ok=False)
