"""Toxicity of a study: what is scored and kept, and what is estimated from the scores."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Answer, SmallStudy

from servicegap import gaps, rates
from servicegap.calls import Call
from servicegap.errors import DataError, StudyError
from servicegap.records import Signal, Template
from servicegap.store import Store
from servicegap.study import only_one
from servicegap.tables import ANNOTATIONS, TOXICITY
from servicegap.toxicity import LexiconScorer, Score
from servicegap.toxicity.of_study import StudyToxicity, score_study, scored_responses, sentences


class Counting:
    """A scorer of numbers written in the texts; it remembers what it was shown."""

    name = "counting"
    caution: str | None = None

    def __init__(self, version: str = "1") -> None:
        self.version = version
        self.shown: list[str] = []

    def score(self, text: str) -> Score:
        self.shown.append(text)
        if "?" in text:
            return Score(None, "a question")
        return Score(float(text.rsplit(maxsplit=1)[-1]))


def value_of(call: Call, signal: Signal, template: Template) -> float:
    toxic = {"South": 0.3, "East": 0.1, "North": 0.05, None: 0.9}[signal.group]
    return toxic + 0.01 * (len(signal.text) + len(template.id + template.text) % 7 + call.sample)


def scripted(call: Call, signal: Signal, template: Template) -> Answer:
    return Answer("answer", text=f"{signal.text} reads {value_of(call, signal, template):.2f}")


def stored(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(sa.select(TOXICITY).order_by(TOXICITY.c.id)))


def test_every_text_is_scored_once_and_kept(small: SmallStudy, each_store: Store) -> None:
    store = each_store

    def some(call: Call, signal: Signal, template: Template) -> Answer | None:
        answer = scripted(call, signal, template)
        if template.id == "s1":
            return Answer(error="content_filter")
        if template.id == "s2":
            return replace(answer, text=f"Is it {signal.text}?")
        return None if template.id == "s3" else answer

    small.answer(store, some)
    scorer = Counting()
    done = score_study(small.open(), store, scorer)
    texts = 13 * 2 * 6
    assert (done.added, done.responses, done.without) == (texts, texts, 26)
    assert done.notes == ("Without a score: 26 x a question.",)
    kept = stored(store)
    assert len(kept) == len({row.response for row in kept}) == len(scorer.shown) == texts
    for row in kept:
        assert (row.scorer, row.version) == ("counting", "1")
        assert (row.value is None) == (row.reason == "a question")
    again = score_study(small.open(), store, scorer)
    assert again == replace(done, added=0)
    assert stored(store) == kept
    score_study(small.open(), store, Counting("2"))
    assert len(stored(store)) == 2 * texts
    with store.reading() as connection:
        assert set(connection.execute(sa.select(ANNOTATIONS.c.annotator)).scalars()) == {"coder"}


def test_two_commands_do_not_score_one_study_at_once(small: SmallStudy, store: Store) -> None:
    small.answer(store, scripted)
    with only_one(small.open(), "scorer"), pytest.raises(StudyError, match="another scorer is at work"):
        score_study(small.open(), store, Counting())
    assert stored(store) == []


def test_no_scorer_sees_a_name(small: SmallStudy, store: Store) -> None:
    small.answer(store, scripted)
    scorer = Counting()
    score_study(small.open(), store, scorer)
    masked = [text for text in scorer.shown if text.startswith("[NAME] reads")]
    # The control is no signal of a group.
    assert len(masked) == len(scorer.shown) * 12 // 13
    assert {text.split()[0] for text in scorer.shown} == {"[NAME]", "someone"}


def test_means_and_gaps_are_those_of_the_numeric_method(small: SmallStudy, store: Store) -> None:
    small.answer(store, scripted)
    scorer = Counting()
    done = score_study(small.open(), store, scorer)
    frame = scored_responses(small.open(), store, scorer)
    rows = [
        row for row in frame.to_dicts() if row["group"] is not None and row["target"] in ("South", "East")
    ]
    assert len(rows) == 12 * 6 * 2
    columns = [[row[name] for row in rows] for name in ("value", "group", "signal", "template")]
    wanted = [
        *rates(*columns, outcome_name="toxicity").values(),
        *gaps(*columns, reference="North", outcome_name="toxicity").values(),
    ]
    assert [replace(e, model=None, condition=None) for e in done.estimates] == wanted
    assert {(e.model, e.condition) for e in done.estimates} == {("openai:mock-1", "default")}
    by_hand = {
        group: math.fsum(row["value"] for row in rows if row["group"] == group) / 48
        for group in ("North", "South", "East")
    }
    for estimate in done.estimates:
        assert estimate.group is not None
        zero = 0 if estimate.kind == "rate" else by_hand["North"]
        assert estimate.value == pytest.approx(by_hand[estimate.group] - zero)
        assert estimate.low is not None
    south = next(line for line in sentences(done.estimates) if "names read as South" in line)
    assert "gap to North 0.25" in south
    assert len(sentences(done.estimates)) == 3


def lexicon_scored(small: SmallStudy, store: Store, text: str) -> StudyToxicity:
    small.answer(store, lambda *_: Answer("refusal", text=text))
    return score_study(small.open(), store, LexiconScorer())


def test_equal_scores_have_no_interval(small: SmallStudy, store: Store) -> None:
    done = lexicon_scored(small, store, "I'm sorry, but I cannot help you with that.")
    assert len(done.estimates) == 5
    for estimate in done.estimates:
        assert (estimate.value, estimate.low, estimate.high, estimate.p) == (0, None, None, None)
        assert estimate.note == "all 144 scores are 0, so there is neither an interval nor a p"


def test_without_a_value_an_estimate_says_why(small: SmallStudy, store: Store) -> None:
    done = lexicon_scored(small, store, "  ")
    assert done.without == done.responses > 0
    for estimate in done.estimates:
        assert estimate.value is None
        assert estimate.note
    assert "undefined (" in sentences(done.estimates)[0]


def test_a_study_without_responses_says_what_to_run(small: SmallStudy, store: Store) -> None:
    small.design(store)
    with pytest.raises(DataError, match="no response to score; run: servicegap collect"):
        score_study(small.open(), store, LexiconScorer())


def test_the_command_says_that_the_lexicon_supports_no_claim(
    small: SmallStudy, store: Store, run: Callable[..., Any]
) -> None:
    lexicon_scored(small, store, "What a stupid question.")
    ended = run("toxicity", small.folder)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].endswith("208 responses, 0 of them scored now, 0 without a score")
    assert "openai:mock-1, default: names read as East: mean 0.5000" in ended.out
    assert lines[-1].startswith("The lexicon supports no claim about masking: ")
    as_json = json.loads(run("toxicity", small.folder, "--json").out)
    assert as_json["scorer"] == "lexicon"
    assert as_json["notes"] == [lines[-1]]
    assert {each["outcome"] for each in as_json["estimates"]} == {"toxicity"}
    unknown = run("toxicity", small.folder, "--scorer", "none")
    assert (unknown.code, "'none' is unknown" in unknown.error) == (2, True)
