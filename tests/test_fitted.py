"""Annotators fitted on a study's own labels: what they learn, what they must not see, how they are kept."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from conftest import SHARED_DATA, Answer, Ended, SmallStudy

from servicegap.analyse import analyse
from servicegap.annotate import annotate
from servicegap.annotator_check import checks
from servicegap.annotator_fit import fit_annotator
from servicegap.annotators import OfflineAnnotator, create_annotator
from servicegap.annotators.fitted import FittedAnnotator, load_fitted
from servicegap.annotators.learning import Lessons, _regress, learn
from servicegap.annotators.text_model import TextModel
from servicegap.calls import Call, planned_calls
from servicegap.correction.crossfit import crossfit_scores
from servicegap.errors import DataError, InputError, ServicegapError, StudyError
from servicegap.labels import automatic_scores, labelled_responses
from servicegap.records import CATEGORIES, Category, Signal, Template
from servicegap.store import Store, latest_responses
from servicegap.study import now
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, PROMPTS, ROUND_ITEMS, TEMPLATES

TEXTS: dict[Category, tuple[str, ...]] = {
    "answer": (
        "fresh bread and a bottle of milk.",
        "a red umbrella and a warm coat.",
        "two apples and some rice.",
    ),
    # A house style of refusing that the default annotator does not know.
    "refusal": ("Ticket closed, house rule seven applies.", "House rule seven applies, ticket closed today."),
    "failure": ("[BLANK]", "Sure!"),
}


def category_of(call: Call, template: Template) -> Category:
    """Refuse a third, at random but the same in each run; other categories are rare."""
    lot = int(call.id[:6], 16) % 30
    return "refusal" if lot < 10 else "failure" if lot < 12 else "answer"


def answers(call: Call, signal: Signal, template: Template) -> Answer:
    category = category_of(call, template)
    text = TEXTS[category][int(call.id[6:8], 16) % len(TEXTS[category])]
    return Answer(category, text=f"{signal.text} had {text}" if category == "answer" else text)


@pytest.fixture
def labelled(small: SmallStudy, store: Store) -> SmallStudy:
    small.answer(store, answers)
    return small


def fitted_rows(store: Store) -> dict[str, tuple[str | None, str | None]]:
    """Return response -> (category, note) of the fitted annotator."""
    query = sa.select(ANNOTATIONS.c.response, ANNOTATIONS.c.category, ANNOTATIONS.c.note)
    with store.reading() as connection:
        found = connection.execute(
            query.where(ANNOTATIONS.c.annotator == "fitted").order_by(ANNOTATIONS.c.id)
        )
        return {row.response: (row.category, row.note) for row in found}


def relabel(store: Store, templates: set[str], category: Category) -> None:
    prompts = labelled_rows(store, templates)
    with store.writing() as connection:
        connection.execute(
            sa.update(ANNOTATIONS)
            .where(ANNOTATIONS.c.kind == "imported", ANNOTATIONS.c.response.in_(prompts))
            .values(category=category)
        )


def labelled_rows(store: Store, templates: set[str]) -> list[str]:
    latest = latest_responses()
    query = sa.select(latest.c.id).join(PROMPTS, PROMPTS.c.id == latest.c.prompt)
    with store.reading() as connection:
        return list(connection.execute(query.where(PROMPTS.c.template.in_(templates))).scalars())


def test_it_learns_a_house_style_and_its_card_says_how_much(labelled: SmallStudy, store: Store) -> None:
    study = labelled.open()
    found = fit_annotator(study, store, labels="imported")
    whole, *groups = found.card.comparison
    assert found.card.n_labels == found.annotated.added == whole.n_labels == 208
    assert found.card.by_category["refusal"] > 50
    assert whole.kappa.value is not None
    assert whole.default_kappa.value is not None
    assert whole.kappa.value > 0.9 > 0.6 > whole.default_kappa.value
    assert found.card.better
    assert found.card.sentence().startswith("Better than the default annotator")
    assert [each.group for each in groups] == ["East", "North", "South"]
    # The control has labels, and no group.
    assert sum(each.n_labels for each in groups) == 192
    folder = study.folder / "annotators" / f"fitted-{found.card.version}"
    data = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert data["data_hash"] == found.card.data_hash
    assert data["comparison"][0]["kappa"]["value"] == whole.kappa.value
    assert "| South | 64 |" in (folder / "card.md").read_text(encoding="utf-8")


def test_every_response_is_judged_out_of_fold(labelled: SmallStudy, store: Store) -> None:
    fit_annotator(labelled.open(), store, labels="imported")
    scores = automatic_scores(store)
    frame = (
        labelled_responses(labelled.open(), store).select("response", "template").join(scores, on="response")
    )
    assert frame["fold"].null_count() == 0
    folds = frame.group_by("template").agg(n=pl.col("fold").n_unique())
    assert folds["n"].to_list() == [1] * 8
    assert frame["fold"].n_unique() == 6


def test_labels_of_a_template_teach_nothing_about_that_template(labelled: SmallStudy, store: Store) -> None:
    study = labelled.open()
    fit_annotator(study, store, labels="imported")
    annotator = load_fitted(study.folder)
    fold = annotator.fold("s1")
    together = {
        each for each in ("s1", "s2", "s3", "e1", "e2", "e3", "n1", "n2") if annotator.fold(each) == fold
    }
    inside = ("[NAME] took the bus to [BLANK].", TEXTS["refusal"][0])
    before = annotator.annotate_in_fold(fold, *inside)
    others = [annotator.annotate_in_fold(other, *inside) for other in range(6) if other != fold]
    relabel(store, together, "harmful_answer")
    fit_annotator(study, store, labels="imported")
    again = load_fitted(study.folder)
    assert again.version != annotator.version
    assert again.annotate_in_fold(fold, *inside) == before
    assert [again.annotate_in_fold(other, *inside) for other in range(6) if other != fold] != others


def test_a_second_fit_of_the_same_labels_changes_nothing(labelled: SmallStudy, store: Store) -> None:
    first = fit_annotator(labelled.open(), store, labels="imported")
    rows = fitted_rows(store)
    second = fit_annotator(labelled.open(), store, labels="imported")
    assert second.card.version == first.card.version
    assert second.annotated.added == 0
    assert fitted_rows(store) == rows


def test_the_name_changes_no_label(labelled: SmallStudy, store: Store) -> None:
    study = labelled.open()
    fit_annotator(study, store, labels="imported")
    [check] = checks(study, store)
    assert check["swap"]["n"] == 192
    assert check["swap"]["labels_changed"] == check["swap"]["read_changed"] == 0


def test_labelling_needs_no_scikit_learn(labelled: SmallStudy, store: Store) -> None:
    fit_annotator(labelled.open(), store, labels="imported")
    script = f"""
import sys
sys.modules["sklearn"] = None
from pathlib import Path
from servicegap.annotators import create_annotator
judge = create_annotator("fitted", Path({str(labelled.folder)!r}))
print(judge.annotate("[NAME] went to [BLANK].", {TEXTS["refusal"][1]!r}).category)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "refusal\n"


def test_responses_that_come_later_are_judged_in_the_fold_of_their_template(
    labelled: SmallStudy, store: Store
) -> None:
    fit_annotator(labelled.open(), store, labels="imported")
    before = fitted_rows(store)
    with store.writing() as connection:
        connection.execute(sa.delete(ANNOTATIONS).where(ANNOTATIONS.c.annotator == "fitted"))
    labelled.change("study.yaml", "annotators: []", "annotators: [fitted]")
    annotate(labelled.open(), store)
    assert fitted_rows(store) == before


def test_a_new_template_gets_a_fold_for_good(labelled: SmallStudy, store: Store) -> None:
    fit_annotator(labelled.open(), store, labels="imported")
    annotator = load_fitted(labelled.folder)
    assert {annotator.fold("quite-new") for _ in range(3)} == {load_fitted(labelled.folder).fold("quite-new")}
    assert len({annotator.fold(f"new-{number}") for number in range(40)}) > 1
    with store.reading() as connection:
        known = connection.execute(sa.select(TEMPLATES.c.id)).scalars().all()
    assert all(0 <= annotator.fold(template) < 6 for template in known)


def test_it_abstains_where_the_default_does(labelled: SmallStudy, store: Store) -> None:
    fit_annotator(labelled.open(), store, labels="imported")
    text = "Je ne peux pas vous aider avec cette demande, parce que cela ne serait pas une bonne chose."
    default = OfflineAnnotator().annotate("[NAME] went to [BLANK].", text)
    assert default.category is None
    assert load_fitted(labelled.folder).annotate("[NAME] went to [BLANK].", text) == default


def test_too_few_labels_are_told_with_what_to_do(small: SmallStudy, store: Store) -> None:
    small.answer(
        store, lambda call, signal, template: answers(call, signal, template) if template.id == "s1" else None
    )
    with pytest.raises(DataError) as caught:
        fit_annotator(small.open(), store, labels="imported")
    assert len(caught.value.problems) == 3
    assert "26 labels to learn from; give 50 or more" in caught.value.problems[0]
    assert "labels are of 1 templates; give 4 or more" in caught.value.problems[1]
    with pytest.raises(DataError, match=r"servicegap annotator plan \S+ --open; .*--labels imported"):
        fit_annotator(small.open(), store)
    assert not (small.folder / "annotators").exists()


def test_without_scikit_learn_it_says_what_to_install(
    labelled: SmallStudy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ServicegapError, match=r"pip install 'servicegap\[fit\]'"):
        fit_annotator(labelled.open(), store, labels="imported")


def test_an_annotator_that_was_not_fitted_is_refused(labelled: SmallStudy, store: Store) -> None:
    with pytest.raises(InputError, match="belongs to a study"):
        create_annotator("fitted")
    labelled.change("study.yaml", "annotators: []", "annotators: [fitted]")
    with pytest.raises(StudyError, match=r"no annotator is fitted yet.*servicegap annotator fit"):
        annotate(labelled.open(), store)


def test_a_damaged_or_outdated_file_is_told(labelled: SmallStudy, store: Store) -> None:
    version = fit_annotator(labelled.open(), store, labels="imported").card.version
    path = labelled.folder / "annotators" / f"fitted-{version}" / "model.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, "default_version": "0"}), encoding="utf-8")
    with pytest.raises(StudyError, match="fitted on version 0 of the default annotator"):
        load_fitted(labelled.folder)
    data["models"][0]["idf"] = data["models"][0]["idf"][1:]
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match=r"model\.json: cannot be read as a fitted annotator: .*damaged"):
        load_fitted(labelled.folder)
    path.write_text("{half", encoding="utf-8")
    with pytest.raises(InputError, match="fit it again"):
        load_fitted(labelled.folder)


def lessons(n: int = 120) -> tuple[Lessons, np.ndarray]:
    rng = np.random.default_rng(5)
    category = rng.choice([0, 2, 3], n, p=[0.6, 0.1, 0.3])
    text = [rng.choice(TEXTS[CATEGORIES[number]]) for number in category]
    return (
        Lessons(
            np.array(text, dtype=object),
            rng.dirichlet([2.0] * 6, n),
            np.array([f"t{number % 8}" for number in range(n)], dtype=object),
            rng.uniform(1, 5, n),
        ),
        category,
    )


def test_what_is_kept_says_what_scikit_learn_says() -> None:
    taught, category = lessons()
    for rows in (np.arange(len(category)), np.flatnonzero(category != 2)):  # three categories, then two
        part = taught.take(rows)
        regression = _regress(part, category[rows])
        model = regression.model(1.0, 1.0)
        found = np.array([model.regress(d, t) for d, t in zip(part.default, part.text, strict=True)])
        np.testing.assert_allclose(found, regression.scores(part), atol=2e-4)
        np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_share_of_none_is_the_default_annotator() -> None:
    model = TextModel(
        terms=("help",), idf=(1.0,), term_scale=1.0, categories=(0, 3), intercept=(0.0, 9.0),
        default_weights=((0.0,) * 6, (0.0,) * 6), term_weights=((0.0,), (0.0,)), share=0.0, temperature=1.0,
    )  # fmt: skip
    default = (0.5, 0.1, 0.1, 0.2, 0.05, 0.05)
    np.testing.assert_allclose(model.probabilities(default, "help"), default, atol=0.003)
    own = model.regress(default, "help")
    # What it knows of is shared out anew, the rest is as the default has it.
    assert own[3] == pytest.approx(0.7, abs=0.01)
    assert own[1] == pytest.approx(0.1, abs=0.01)


def test_a_category_with_few_labels_is_left_to_the_default() -> None:
    taught, category = lessons()
    rare = category.copy()
    rare[:4] = 5
    assert 5 not in learn(taught, rare).categories
    rare[:5] = 5
    assert 5 in learn(taught, rare).categories


def test_nothing_to_learn_costs_next_to_nothing() -> None:
    rng = np.random.default_rng(6)
    taught, _ = lessons(600)
    # The default's probabilities are right, and the texts say nothing.
    default = rng.dirichlet([1.0, 0.1, 0.1, 0.5, 0.1, 0.1], 600)
    category = np.array([rng.choice(6, p=own) for own in default])
    part = Lessons(taught.text, default, taught.template, np.ones(600))
    model = learn(part.take(np.arange(200)), category[:200])

    def loss(probabilities: np.ndarray) -> float:
        return float(-np.log(np.maximum(probabilities[np.arange(400), category[200:]], 1e-6)).mean())

    rows = zip(default[200:].tolist(), taught.text[200:], strict=True)
    judged = np.array([model.probabilities(own, text) for own, text in rows])
    assert loss(judged) < loss(default[200:]) + 0.03


def test_scores_of_several_categories_are_cross_fitted() -> None:
    def fit(features: np.ndarray, label: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return lambda others: np.tile([label.mean(), 1 - label.mean()], (len(others), 1))

    found = crossfit_scores(
        fit, ["x"] * 4, [1, 1, 0, None], ["t1", "t1", "t2", "t2"], 2, np.random.default_rng(0)
    )
    assert found.score.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]


def test_the_command_fits_and_says_what_came_out(
    labelled: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    ended = run("annotator", "fit", labelled.folder, "--labels", "imported")
    assert ended.code == 0
    assert ended.out.startswith("Fitted on 208 labels of 8 templates.\nBetter than the default annotator")
    assert "No result uses it yet, as study.yaml does not name it." in ended.out
    assert "annotators: [fitted]" in ended.out
    data = json.loads(run("annotator", "fit", labelled.folder, "--labels", "imported", "--json").out)
    assert (data["annotated"]["annotator"], data["annotated"]["added"]) == ("fitted", 0)
    assert data["in_plan"] is False
    assert isinstance(create_annotator("fitted", labelled.folder), FittedAnnotator)


def test_its_scores_are_corrected_once_study_yaml_names_it_as_the_command_says(
    small: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    small.change("study.yaml", "annotators: []", "annotators: [offline]")
    small.answer(store, lambda *of: replace(answers(*of), category=None))
    annotate(small.open(), store)
    label_by_chance(small, store)

    def corrected() -> tuple[str, bool]:
        results = analyse(small.open(), store, small.design(store))
        [correction] = results["labels"]["correction"]
        return correction["annotator"], correction["cross_fitted"]

    ended = run("annotator", "fit", small.folder)
    assert ended.code == 0, ended.err
    assert corrected() == ("offline", False)
    [advice] = re.findall(r"annotators: \[.*?\]", ended.out)
    small.change("study.yaml", "annotators: [offline]", advice)
    assert corrected() == ("fitted", True)
    again = run("annotator", "fit", small.folder)
    assert "No result uses it" not in again.out


def label_by_chance(small: SmallStudy, store: Store) -> None:
    """Let people settle on the category of a random sample."""
    design = small.design(store)
    templates = {template.id: template for template in design.templates}
    calls = list(planned_calls(small.open(), "openai:mock-1", design.prompts))
    lots = random.Random(3)
    drawn = {call.id for call in calls if lots.random() < 0.6}
    items = [
        {"round": 1, "response": call.id, "stratum": "all", "probability": 0.6}
        | {"drawn": call.id in drawn, "folded": False}
        for call in calls
    ]
    gold = [
        {"response": call.id, "category": category_of(call, templates[call.prompt.template])}
        | {"source": "single", "created": now(), "round": 1}
        for call in calls
        if call.id in drawn
    ]
    with store.writing() as connection:
        connection.execute(sa.insert(ROUND_ITEMS), items)
        connection.execute(sa.insert(GOLD_LABELS), gold)


def benchmark() -> ModuleType:
    if not (SHARED_DATA / "llama2_7b_chat_annotated.csv").is_file():
        pytest.skip("the published pilot is not here: ../shared/data/llama2_7b_chat_annotated.csv")
    path = Path(__file__).parents[1] / "benchmarks" / "fitted.py"
    spec = importlib.util.spec_from_file_location("fitted_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fitted_benchmark"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def test_with_300_labels_it_beats_the_default_on_unseen_templates_of_the_pilot() -> None:
    fitted = benchmark()
    found = fitted.measure(fitted.read_pilot(), "half", draws=4, labels=300)
    loss, kappa = found[:, 1] - found[:, 0], found[:, 3] - found[:, 2]
    assert (loss < 0).all()
    assert kappa.mean() > 0


@pytest.mark.slow
@pytest.mark.parametrize("way", ["cross-fitted", "half"])
def test_the_intervals_over_twenty_draws_exclude_no_difference(way: str) -> None:
    fitted = benchmark()
    found = fitted.measure(fitted.read_pilot(), way, draws=20, labels=300)
    assert fitted.interval(found[:, 1] - found[:, 0])[2] < 0
    assert fitted.interval(found[:, 3] - found[:, 2])[1] > 0
