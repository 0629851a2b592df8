"""Toxicity of a study: what is scored and kept, and what is estimated from the scores."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from conftest import Answer, SmallStudy

from servicegap import gaps, rates
from servicegap.analyse import analyse
from servicegap.calls import Call
from servicegap.errors import DataError, StudyError
from servicegap.families import adjusted
from servicegap.given import read_given
from servicegap.labels import labelled_responses
from servicegap.records import Signal, Template
from servicegap.store import Store
from servicegap.study import Study, only_one
from servicegap.tables import ANNOTATIONS, RESPONSES, TOXICITY
from servicegap.toxicity import LexiconScorer, Score
from servicegap.toxicity.lexicon import CAUTION
from servicegap.toxicity.measured import Toxicity, measure
from servicegap.toxicity.of_study import score_study, sentences


class Counting:
    """A scorer of numbers written in the texts; it remembers what it was shown."""

    name = "counting"

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
    found = done.found
    assert (done.added, found.responses, found.scored, found.without) == (texts, texts, texts - 26, 26)
    assert found.waiting == 0
    assert found.notes == ("Without a score: 26 x a question.",)
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


def test_the_last_attempt_is_scored_and_batches_miss_none(
    small: SmallStudy, each_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = each_store
    monkeypatch.setattr("servicegap.toxicity.of_study.BATCH", 7)
    small.answer(
        store, lambda call, *rest: scripted(call, *rest) if call.sample else Answer(error="transport")
    )
    with store.reading() as connection:
        failed = connection.execute(sa.select(RESPONSES).where(RESPONSES.c.text.is_(None))).all()
    again = [
        {**row._mapping, "attempt": 2, "error_kind": None, "error": None, "text": "at last 0.5"}
        for row in failed[:30]
    ]
    with store.writing() as connection:
        connection.execute(sa.insert(RESPONSES), again)
    done = score_study(small.open(), store, Counting())
    assert done.added == done.found.scored == 104 + 30
    values = {row.response: row.value for row in stored(store)}
    assert len(values) == 134
    assert {values[row["id"]] for row in again} == {0.5}


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


def numbers_of(store: Store, study: Study) -> pl.DataFrame:
    """The primary responses, one a row, with the scores that are kept."""
    values = {row.response: row.value for row in stored(store)}
    frame = labelled_responses(study, store).drop_nulls(["group", "target"])
    return frame.with_columns(value=pl.Series([values.get(each) for each in frame["response"]]))


def test_means_and_gaps_are_those_of_the_numeric_method(small: SmallStudy, each_store: Store) -> None:
    store = each_store
    small.answer(store, scripted)
    done = score_study(small.open(), store, Counting()).found
    frame = numbers_of(store, small.open())
    assert frame.height == 12 * 6 * 2
    columns = [frame[name] for name in ("value", "group", "signal", "template")]
    means = rates(*columns, outcome_name="toxicity").values()
    differences = gaps(*columns, reference="North", outcome_name="toxicity").values()
    wanted = [*(replace(e, kind="mean") for e in means), *(replace(e, kind="mean_gap") for e in differences)]
    assert len(done.estimates) == len(wanted) == 5
    for mine, theirs in zip(done.estimates, adjusted(wanted), strict=True):
        assert (mine.model, mine.condition) == ("openai:mock-1", "default")
        for name, value in asdict(replace(theirs, model="openai:mock-1", condition="default")).items():
            own = getattr(mine, name)
            assert own == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value), name
    by_hand = {
        group: math.fsum(frame.filter(group=group)["value"]) / 48 for group in ("North", "South", "East")
    }
    for estimate in done.estimates:
        assert estimate.group is not None
        zero = 0 if estimate.kind == "mean" else by_hand["North"]
        assert estimate.value == pytest.approx(by_hand[estimate.group] - zero)
        assert estimate.low is not None
    south = next(line for line in sentences(done.estimates) if "names read as South" in line)
    assert "gap to North 0.25" in south
    assert len(sentences(done.estimates)) == 3


def test_means_of_refused_responses_stand_beside_the_rest(small: SmallStudy, store: Store) -> None:
    def refused_for_some(call: Call, signal: Signal, template: Template) -> Answer:
        wanted = {"s": "refusal", "e": "harmful_refusal"}.get(template.id[0], "answer")
        category = wanted if call.sample == 0 else "partial_answer" if template.id == "s2" else None
        return replace(scripted(call, signal, template), category=category)  # type: ignore[arg-type]

    small.answer(store, refused_for_some)
    found = score_study(small.open(), store, Counting()).found
    frame = numbers_of(store, small.open())
    refused = pl.col("category").is_in(["refusal", "harmful_refusal"])
    which = {
        "refused": refused,
        "not refused": ~refused,
        "refusal": pl.col("category") == "refusal",
        "harmful_refusal": pl.col("category") == "harmful_refusal",
        "partial_answer": pl.col("category") == "partial_answer",
        "unlabelled": pl.col("category").is_null(),
    }
    assert {part.part for part in found.parts} == set(which)
    assert len(found.parts) == 6 * 4
    for part in found.parts:
        rows = frame.filter(which[part.part])
        rows = rows if part.group is None else rows.filter(group=part.group)
        assert part.n == rows.height
        assert part.mean == pytest.approx(math.fsum(rows["value"]) / part.n)
    sizes = {part.part: part.n for part in found.parts if part.group is None}
    assert sizes == {
        **{"refused": 72, "not refused": 12, "refusal": 36, "harmful_refusal": 36},
        **{"partial_answer": 12, "unlabelled": 60},
    }


def test_responses_read_one_by_one_or_not_give_the_same(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, *rest: replace(scripted(call, *rest), category="refusal"))
    scorer = Counting()
    study = small.open()
    found = score_study(study, store, scorer).found
    given = read_given(study, store, one_by_one=True)
    assert measure(store, given, study.plan.plan, scorer.name, scorer.version) == found


def test_results_hold_the_latest_version_of_each_scorer(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer("refusal", text="You stupid fool, 0.5"))
    study, design = small.open(), small.design(store)
    assert analyse(study, store, design)["toxicity"] == []
    for scorer in (Counting("2"), LexiconScorer(), Counting("1")):
        score_study(study, store, scorer)
    results = analyse(study, store, design)
    counting, lexicon = results["toxicity"]
    assert (counting["scorer"], counting["version"], counting["caution"]) == ("counting", "1", None)
    assert (lexicon["scorer"], lexicon["version"]) == ("lexicon", LexiconScorer().version)
    assert lexicon["caution"] == CAUTION
    assert (counting["responses"], counting["scored"], counting["waiting"]) == (208, 208, 0)
    # Nothing of it among the figures that categories give.
    assert "toxicity" not in {each["outcome"] for each in results["estimates"]}
    json.dumps(results, allow_nan=False)


def test_what_was_collected_after_scoring_is_told(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, *rest: scripted(call, *rest) if call.sample == 0 else None)
    score_study(small.open(), store, Counting())

    def later(call: Call, *rest: Any) -> Answer | None:
        if call.sample == 0:
            return None
        return Answer(error="content_filter") if call.id[0] == "0" else scripted(call, *rest)

    small.answer(store, later)
    [found] = analyse(small.open(), store, small.design(store))["toxicity"]
    assert found["scored"] == 104
    # What a provider blocked has no text that could be scored.
    assert 0 < found["waiting"] < 104
    [note] = found["notes"]
    assert note == f"{found['waiting']} responses have no score yet; run servicegap toxicity again."
    assert found["responses"] == 104 + found["waiting"]


def test_scores_that_come_later_make_results_and_report_stale(
    small: SmallStudy, store: Store, run: Callable[..., Any]
) -> None:
    small.answer(store, lambda *_: Answer("refusal", text="No, you idiot."))
    assert run("report", small.folder).code == 0
    page = small.folder / "report" / "index.html"
    assert 'id="toxicity"' not in page.read_text(encoding="utf-8")
    assert run("status", small.folder).out.splitlines()[-1] == "all stages are up to date"
    assert run("toxicity", small.folder).code == 0
    assert run("status", small.folder).out.splitlines()[-1] == f"next: servicegap analyse {small.folder}"
    assert run("report", small.folder).code == 0
    assert 'id="toxicity"' in page.read_text(encoding="utf-8")
    assert run("status", small.folder).out.splitlines()[-1] == "all stages are up to date"
    # Nothing new is scored, so nothing is stale.
    assert run("toxicity", small.folder).code == 0
    assert run("status", small.folder).out.splitlines()[-1] == "all stages are up to date"


def test_a_reference_without_responses_leaves_the_means(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, signal, t: scripted(call, signal, t) if signal.group == "East" else None)
    found = score_study(small.open(), store, Counting()).found
    assert [(each.kind, each.group) for each in found.estimates] == [("mean", "East")]


def lexicon_scored(small: SmallStudy, store: Store, text: str) -> Toxicity:
    small.answer(store, lambda *_: Answer("refusal", text=text))
    return score_study(small.open(), store, LexiconScorer()).found


def test_equal_scores_have_no_interval(small: SmallStudy, store: Store) -> None:
    done = lexicon_scored(small, store, "I'm sorry, but I cannot help you with that.")
    assert len(done.estimates) == 5
    for estimate in done.estimates:
        assert (estimate.value, estimate.low, estimate.high, estimate.p) == (0, None, None, None)
        assert estimate.note == "all 144 scores are 0, so there is neither an interval nor a p"


def test_without_a_value_an_estimate_says_why(small: SmallStudy, store: Store) -> None:
    done = lexicon_scored(small, store, "  ")
    assert done.without == done.responses == 208
    assert done.notes == ("Without a score: 208 x the response is empty.",)
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
    assert (as_json["scorer"], as_json["added"]) == ("lexicon", 0)
    assert as_json["caution"] == lines[-1]
    assert {each["outcome"] for each in as_json["estimates"]} == {"toxicity"}
    unknown = run("toxicity", small.folder, "--scorer", "none")
    assert (unknown.code, "'none' is unknown" in unknown.error) == (2, True)
