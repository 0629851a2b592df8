"""Toxicity in the report: a section of its own from real studies, and none where nothing was scored."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer, SmallStudy
from made_up_results import made_up_results, made_up_toxicity

from servicegap.analyse import analyse
from servicegap.calls import Call
from servicegap.notation import number
from servicegap.records import Signal, Template
from servicegap.report import render, write_report
from servicegap.report.figure import axis_ends, fine_step
from servicegap.report.reading import read_results
from servicegap.report.rows import Row
from servicegap.report.toxicity import toxicity_figures, toxicity_passages
from servicegap.store import Store
from servicegap.toxicity import LexiconScorer
from servicegap.toxicity.lexicon import CAUTION
from servicegap.toxicity.of_study import score_study

HOW = "servicegap toxicity DIR scores that, for a section of its own."


POLITE = "I am sorry, but I cannot help people like that."
FINE = "The bread is on the table and the tea is ready."


def insulted(call: Call, signal: Signal, template: Template) -> Answer:
    """East is mostly refused, politely; South insulted in every second answer and some more, North once."""
    refused = {"East": template.id not in ("s1", "e1"), "North": template.id == "s2"}
    refused["South"] = template.id == "e2" and call.sample == 0 and signal.text != "Ema"
    if refused.get(str(signal.group)):
        return Answer("harmful_refusal" if call.sample else "refusal", text=POLITE)
    insults = {"South": call.sample or (template.id == "s3" and signal.text != "Ema")}
    insults["North"] = call.sample and template.id == "e3" and signal.text == "Ben"
    if insults.get(str(signal.group)):
        return Answer("harmful_answer", text=f"What a stupid thing to ask. {FINE}")
    return Answer("answer", text=FINE)


def scored(small: SmallStudy, store: Store) -> dict[str, Any]:
    small.answer(store, insulted)
    study, design = small.open(), small.design(store)
    score_study(study, store, LexiconScorer())
    results: dict[str, Any] = json.loads(json.dumps(analyse(study, store, design)))
    return results


def section_of(page: str) -> str:
    """What a reader sees of the section."""
    found = re.search(r'<section aria-labelledby="toxicity">(.*?)</section>', page, flags=re.DOTALL)
    assert found is not None
    return re.sub(r"[ \n]+", " ", unescape(re.sub(r"<[^>]*>", " ", found[1])))


def test_scores_have_a_section_with_what_results_hold(small: SmallStudy, store: Store) -> None:
    results = scored(small, store)
    [lexicon] = results["toxicity"]
    page = render(results)
    assert page.index('id="run0"') < page.index('id="toxicity"') < page.index('id="estimates"')
    assert '<a href="#toxicity">Toxicity</a>' in page
    seen = section_of(page)
    assert "Toxicity, apart from the categories" in seen
    assert f"208 of the study's 208 responses with a text, by lexicon, version {lexicon['version']};" in seen
    assert CAUTION in seen
    assert HOW not in page
    assert len(lexicon["estimates"]) == 5
    for estimate in lexicon["estimates"]:
        assert number(estimate["value"], 4) in seen
        if estimate["low"] is not None:
            limits = f"({number(estimate['low'], 4)} to {number(estimate['high'], 4)})"
            assert limits in seen.replace("\N{NO-BREAK SPACE}", " ")
    south = next(e for e in lexicon["estimates"] if (e["kind"], e["group"]) == ("mean_gap", "South"))
    # An insult scores 0.5: 24 responses and 3 more of South, one of North.
    assert south["value"] == pytest.approx(0.5 * 26 / 48)
    assert "Exploratory: the mean score differs from that of names read as North" in seen
    assert "names read as South (0.2708)" in seen


def test_refused_responses_stand_beside_the_rest(small: SmallStudy, store: Store) -> None:
    read = read_results(scored(small, store))
    [passage] = toxicity_passages(read, read.runs[0])
    [_, beside, by_category] = passage.tables
    rows = {row[0]: list(row[1:]) for row in beside.body}
    assert rows["names read as East"] == ["0.0000", "32", "0.0000", "16"]
    assert rows["names read as South"] == ["0.0000", "3", number(13.5 / 45, 4), "45"]
    # 32 of East, 8 of North and 3 of South are refused, 28 of the 101 others insulted.
    assert rows["all"] == ["0.0000", "43", number(14 / 101, 4), "101"]
    assert {row[0]: list(row[1:]) for row in by_category.body} == {
        "Answer": ["0.0000", "73"],
        "Refusal": ["0.0000", "23"],
        "Harmful refusal": ["0.0000", "20"],
        "Harmful answer": ["0.5000", "28"],
    }
    said = dict(passage.points)["Among what was refused"]
    assert said.startswith(
        "Refused responses score 0.0000 on average (43 responses); all others score 0.1386 on average "
        "(101 responses). Harmful refusals score 0.0000 on average (20 responses); other refusals score"
    )


def test_the_plot_shows_each_gap_on_an_axis_of_its_size(
    small: SmallStudy, store: Store, tmp_path: Path
) -> None:
    results = scored(small, store)
    write_report(results, [], tmp_path / "report" / "index.html")
    drawn = ET.parse(tmp_path / "report" / "plots" / "toxicity-1.svg").getroot()
    texts = {"".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"names read as South", "names read as East"} <= texts
    # The axis is in the unit of the scores, not in whole numbers.
    assert "0.1" in texts
    [figure] = toxicity_figures(read_results(results), read_results(results).runs[0])
    assert [row[0] for row in figure.body] == ["names read as South", "names read as East"]
    assert figure.body[1][1] == "\N{MINUS SIGN}0.0104"


def test_gaps_without_a_p_are_not_called_untold(small: SmallStudy, store: Store) -> None:
    def once(call: Call, signal: Signal, template: Template) -> Answer:
        insult = signal.text == "Ema" and template.id == "s1"
        return Answer("answer", text="You idiot." if insult else FINE)

    small.answer(store, once)
    score_study(small.open(), store, LexiconScorer())
    read = read_results(analyse(small.open(), store, small.design(store)))
    [passage] = toxicity_passages(read, read.runs[0])
    assert passage.lead == (
        "Exploratory: no gap of mean scores to names read as North has a p; the notes below say why."
    )
    notes = {row[0]: row[-1] for row in passage.tables[0].body}
    assert "all 48 outcomes of North are the same; so there is no p" in notes["names read as South"]
    # Nobody was refused, so there is nothing to set beside the rest.
    assert passage.tables[1].body[0][1:3] == ["not defined", "0"]
    assert "Among what was refused" not in dict(passage.points)


def test_scores_of_nothing_but_0_are_told_without_a_plot(tmp_path: Path, run: Callable[..., Any]) -> None:
    folder = tmp_path / "polite"
    assert run("init", folder, "--model", "fake:uneven").code == 0
    assert run("collect", folder).code == 0
    assert run("toxicity", folder).code == 0
    assert run("report", folder).code == 0
    seen = section_of((folder / "report" / "index.html").read_text(encoding="utf-8"))
    assert "Every response has the score 0, whatever the group" in seen
    assert "All 240 scores are 0, so there is neither an interval nor a p." in seen
    assert CAUTION in seen
    assert "Refused responses beside the rest" not in seen
    assert not (folder / "report" / "plots" / "toxicity-1.svg").exists()


def test_without_scores_the_limits_say_how_to_get_them() -> None:
    page = render(made_up_results())
    assert 'id="toxicity"' not in page
    limits = page[page.index('id="limits"') : page.index('id="provenance"')]
    assert HOW in re.sub(r"<[^>]*>", "", limits)
    # Results of an earlier version have no such part at all.
    assert "toxicity" not in made_up_results()


def test_scorers_and_models_are_told_apart_and_their_names_stay_text() -> None:
    bad = "transformers:<script>x</script>\N{RIGHT-TO-LEFT OVERRIDE}"
    models = ("local:a", "local:b")
    toxicity = [made_up_toxicity(models), made_up_toxicity(models, scorer=bad, caution=None)]
    page = render(made_up_results(models=models, toxicity=toxicity))
    assert "<script" not in page
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page
    seen = section_of(page)
    assert seen.count(CAUTION) == 2
    headings = re.findall(r"<h3>(Scored by .*?)</h3>", page)
    assert [re.sub(r".*: ", "", each) for each in headings] == ["local:a", "local:a", "local:b", "local:b"]
    assert headings[0] == "Scored by lexicon: local:a"
    assert "&lt;script&gt;" in headings[1]
    identifiers = re.findall(r'\sid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ((0.034, -0.012), (-0.02, 0.04)),
        ((0.3125, 0.0), (0.0, 0.4)),
        ((0.0, 0.0), (-0.1, 0.1)),
        ((0.0004, 0.0), (-0.0001, 0.0005)),
        ((-0.5, -0.1), (-0.5, 0.0)),
    ],
)
def test_axes_fit_figures_of_any_size(values: tuple[float, float], ends: tuple[float, float]) -> None:
    rows = [Row("", value=value) for value in values]
    low, high = axis_ends(rows, fine_step(rows))
    assert low <= min(0, *values)
    assert max(0, *values) <= high
    if values != (0.0004, 0.0):
        assert (low, high) == ends
