"""What a design could tell: detectable gaps, price, the best for a budget, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import Answer, Ended, SmallStudy

from servicegap.errors import DataError, InputError
from servicegap.labels import labelled_responses
from servicegap.plan import components_of, plan, question_about, read_components
from servicegap.power import PILOT_13B, PILOT_13B_WITHOUT_OUTLIER, Components, detectable_gap, power_of
from servicegap.power.planning import Labelling
from servicegap.power.question import Budget, Planned, Prices, Question, Size
from servicegap.store import Store

Run = Callable[..., Ended]
BOTH = (PILOT_13B, PILOT_13B_WITHOUT_OUTLIER)


def planned(question: Question, *sources: Components) -> Planned:
    return plan(question, sources or BOTH, np.random.default_rng(5))


def test_the_asked_design_has_price_power_and_what_it_detects() -> None:
    size = Size(names=8, templates=24, samples=3)
    found = planned(Question(size, groups=5, gap=0.2, prices=Prices(call=0.01, label_hour=30)))
    asked = found.asked
    # 5 groups x 8 names x 24 templates x 3 samples; half a minute for each label.
    assert (asked.calls, asked.labels, asked.label_minutes) == (2880, 2880, 1440)
    assert asked.cost == pytest.approx(2880 * 0.01 + 24 * 30)
    published = [100 * (each.detectable or 0) for each in asked.expected]
    assert published == pytest.approx([22.4, 14.8], abs=0.1)
    assert [each.power for each in asked.expected] == [power_of(0.2, each, 8, 24, 3) for each in BOTH]
    # The closed form is good to 8 points of power.
    assert found.simulated == pytest.approx([each.power for each in asked.expected], abs=0.08)


def test_the_grid_has_the_published_designs_and_the_asked_one() -> None:
    found = planned(Question(Size(names=6, templates=10)), PILOT_13B)
    sizes = {(line.names, line.templates) for line in found.grid}
    assert {(6, 10), (4, 24), (8, 48), (16, 96), (32, 24)} <= sizes
    assert len(sizes) == len(found.grid) == 6 * 4
    gaps = {(line.names, line.templates): line.expected[0].detectable for line in found.grid}
    assert gaps[8, 48] == detectable_gap(PILOT_13B, 8, 48)
    assert found.asked.cost is None
    assert found.best == ()


def test_the_words_say_what_a_design_cannot_support() -> None:
    found = planned(Question(Size(8, 24, 3), groups=5, gap=0.1), PILOT_13B)
    assert "cannot support a claim about a gap of 10 points" in found.sentences[0]
    assert "gaps below 22 points are likely to be missed" in found.sentences[0]
    assert f"{found.simulated[0]:.0%}" in found.sentences[1]
    assert found.sentences[2] == (
        "[1] Repeats buy almost nothing: asking 3 times instead of once takes the detectable gap from 22.8 "
        "to 22.4 points; as many calls spent on 24 names a group, to 15.1."
    )
    strict = detectable_gap(PILOT_13B, 8, 24, 3, level=1 - 0.05 / 4)
    alone = f"the only one must be {100 * (strict or 0):.1f} points"
    assert alone in found.sentences[3]
    enough = planned(Question(Size(8, 24, 3), groups=2, gap=0.3), PILOT_13B).sentences
    assert "enough for a gap of 30 points" in enough[0]
    assert not any("Holm" in sentence for sentence in enough)


def test_repeats_are_judged_by_the_figures_given() -> None:
    noisy = Components(0.001, 0.01, 0.0, 0.25, source="a coin")
    assert "Repeats lower what can be detected" in " ".join(planned(Question(), noisy).sentences)
    unknown = Components(0.01, 0.01, 0.03, 0.0, source="one response a cell")
    assert "cannot be told from these figures" in " ".join(planned(Question(), unknown).sentences)


def test_the_best_design_keeps_to_every_limit() -> None:
    question = Question(
        groups=3,
        labellings=(Labelling(), Labelling(share=0.1)),
        prices=Prices(call=0.02, label_hour=20),
        budget=Budget(calls=6000, label_minutes=600, money=150),
    )
    found = planned(question, PILOT_13B)
    [best] = found.best
    assert best
    for line in best:
        assert line.calls <= 6000
        assert line.label_minutes <= 600
        assert line.cost is not None
        assert line.cost <= 150
    gaps = [line.expected[0].detectable for line in best]
    assert gaps == sorted(gaps, key=lambda gap: gap or 1)
    # Labels are dear: a part of them, corrected, leaves calls for names and templates.
    assert (best[0].label_share, best[0].samples) == (0.1, 1)
    nothing = planned(Question(budget=Budget(calls=10)), PILOT_13B)
    assert nothing.best == ((),)
    assert "no design fits the budget" in nothing.sentences[-1].lower()


def test_components_are_read_as_written() -> None:
    found = read_components(" 0.02, 0.03,0.01,0 ")
    assert (found.name, found.gap_by_template, found.name_by_template, found.repeat) == (0.02, 0.03, 0.01, 0)
    for text in ("1,2,3", "a,b,c,d", "0,0,-1,0", "nan,0,0,0", "inf,0,0,0", ""):
        with pytest.raises(InputError, match="name,gap_by_template,name_by_template,repeat"):
            read_components(text)


def test_mistakes_are_told_together() -> None:
    question = Question(gap=0, prices=Prices(call=-1), budget=Budget(money=10))
    with pytest.raises(DataError) as error:
        planned(question)
    assert [problem.split(";")[0] for problem in error.value.problems] == [
        "gap is 0",
        "price of a call is -1",
    ]
    with pytest.raises(DataError, match="a budget of money needs the price"):
        planned(Question(budget=Budget(money=10)))
    with pytest.raises(DataError, match="templates is 1"):
        planned(Question(Size(4, 1, 1)))


def by_name_and_chance(call: object, signal: object, template: object) -> Answer:
    number = int(call.id[:4], 16) % 10  # type: ignore[attr-defined]
    bar = {"South": 6, "East": 4}.get(signal.group, 2) + 2 * (signal.text in "Anna Ema Ines")  # type: ignore[attr-defined]
    return Answer("refusal" if number < bar else "answer")


def test_a_study_gives_its_own_design_and_components(small: SmallStudy, store: Store) -> None:
    small.answer(store, by_name_and_chance)
    study = small.open()
    frame = labelled_responses(study, store)
    question = question_about(frame, study.plan.plan, study.plan.samples)
    # Neutral templates and the control are not in the primary gaps.
    assert (question.size, question.groups) == (Size(4, 6, 2), 3)
    [found] = components_of(frame, study.plan.plan, "small")
    assert found.source == "small, openai:mock-1, condition default, refused, mean over 2 gaps"
    assert found.repeat > 0
    once = components_of(frame.filter(frame["sample"] == 0), study.plan.plan, "small")
    assert once[0].repeat == 0
    assert "one response a cell" in once[0].source


def test_the_command_prints_tables_and_json(run: Run) -> None:
    options = ["--names", "8", "--templates", "24", "--samples", "3", "--groups", "5", "--max-calls", "5000"]
    ended = run("plan", *options)
    assert (ended.code, ended.err) == (0, "")
    assert "    8         24        3      100%  2,880" in ended.out
    assert "Best for the budget, by [2]" in ended.out
    assert "Repeats buy almost nothing" in ended.out
    assert ended == run("plan", *options), "the simulation has a fixed seed"
    found = json.loads(run("plan", *options, "--json").out)
    assert found["asked"]["calls"] == 2880
    assert found["asked"]["expected"][0]["detectable"] == pytest.approx(0.224, abs=0.001)
    assert len(found["simulated"]) == len(found["sources"]) == 2


def test_the_command_plans_from_a_study(run: Run, small: SmallStudy, store: Store) -> None:
    small.answer(store, by_name_and_chance)
    found = json.loads(run("plan", "--from", small.folder, "--names", "12", "--json").out)
    assert found["question"]["size"] == {"names": 12, "templates": 6, "samples": 2}
    assert found["sources"][0]["source"].startswith(str(small.folder))
    both = json.loads(run("plan", "--from", small.folder, "--components", "0.1,0.1,0.1,0.1", "--json").out)
    assert [each["name"] for each in both["sources"]] == [0.1, found["sources"][0]["name"]]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--names", "1"], 2, "1 is not in the range x>=2"),
        (["--gap", "10"], 2, "10.0 is not in the range 0<x<=1"),
        (["--components", "1,2"], 2, "components '1,2' are not usable"),
        (["--components", "0,0,0,0"], 2, "all variance components are 0"),
        (["--budget", "100"], 2, "--cost-per-call"),
        (["--from", "nowhere"], 1, "nowhere/study.yaml: not found"),
        (["--power", "0.01"], 2, "power is 0.01"),
    ],
)
def test_what_is_wrong_is_one_line(run: Run, arguments: list[str], code: int, told: str) -> None:
    ended = run("plan", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.error


def test_a_study_without_responses_is_told(run: Run, small: SmallStudy) -> None:
    ended = run("plan", "--from", small.folder)
    assert ended.code == 2
    assert "collect or import some first" in ended.error


def test_the_plot_shows_every_line_of_the_table(tmp_path: Path, run: Callable[..., Ended]) -> None:
    path = tmp_path / "plots" / "plan.svg"
    ended = run("plan", "--gap", "0.15", "--share-labelled", "0.2", "--plot", path)
    assert ended.code == 0, ended.err
    drawn = path.read_text(encoding="utf-8")
    assert drawn.count("templates</text>") == 6
    assert "20% of responses labelled by people" in drawn
    found = ElementTree.fromstring(drawn)
    described = next(node.text for node in found.iter() if node.tag.endswith("desc"))
    assert described is not None
    assert described.startswith("[1] 24 templates: 4 names ")
