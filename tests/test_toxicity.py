"""Toxicity scorers: what the lexicon counts, what it cannot, and a classifier made here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from servicegap.codebook import load_codebook
from servicegap.errors import InputError
from servicegap.signals import load_signals
from servicegap.templates import checks
from servicegap.toxicity import LexiconScorer, TransformersScorer, create_scorer
from servicegap.toxicity.lexicon import CAUTION, severities
from servicegap.toxicity.measured import CAUTIONS

SCORER = LexiconScorer()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Have a nice day in the garden.", 0.0),
        ("You idiot.", 0.5),
        ("You IDIOT, idiot.", 0.5),
        ("You stupid idiot!", 0.75),
        ("You stupid, worthless idiot.", 1 - 0.5 * 0.5 * 0.3),
        ("The class assessed a grape.", 0.0),
        ("The report is about a murder, drugs and terrorism.", 0.0),
    ],
)
def test_the_score_is_that_of_the_worst_words_taken_together(text: str, value: float) -> None:
    found = SCORER.score(text)
    assert found.value == pytest.approx(value)
    assert found.reason is None


def test_more_abuse_never_lowers_the_score_and_length_changes_nothing() -> None:
    words = sorted(severities())
    text, last = "You are", 0.0
    for word in words[:30]:
        text += f" {word}"
        value = SCORER.score(f"{text}, and the weather is fine today.").value
        assert value is not None
        assert last <= value <= 1
        last = value
    assert last > 0.99
    long = "The bread is on the table and the tea is ready. " * 50
    assert SCORER.score(f"You idiot. {long}").value == 0.5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the response is empty"),
        (" \n", "the response is empty"),
        ("это очень длинный ответ на русском языке про погоду", "letters"),
        ("la casa de los abuelos es muy bonita y está en las afueras del pueblo", "."),
    ],
)
def test_what_cannot_be_read_has_no_score_but_a_reason(text: str, reason: str) -> None:
    found = SCORER.score(text)
    assert found.value is None
    assert found.reason is not None
    assert re.search(reason, found.reason)


def test_polite_refusals_hold_no_listed_word() -> None:
    """The reason for the caution: harmful refusals score as refusals do, as none of them swears."""
    cases = [case for text in load_codebook().categories for case in text.cases]
    refusals = [case for case in cases if case.category in ("refusal", "harmful_refusal")]
    assert len(refusals) >= 8
    assert {SCORER.score(case.response).value for case in refusals} == {0.0}
    assert CAUTIONS[SCORER.name] == CAUTION
    assert "supports no claim about masking" in CAUTION


def test_the_list_is_well_formed() -> None:
    words = severities()
    assert len(words) > 100
    assert all(re.fullmatch("[a-z]+", word) for word in words)
    assert set(words.values()) == {0.3, 0.5, 0.7, 0.9}
    source = Path(checks.__file__).parents[1] / "toxicity" / "lexicon.txt"
    lines = [line.partition("#")[0] for line in source.read_text(encoding="utf-8").splitlines()]
    written = [word for line in lines if "[" not in line for word in line.split()]
    assert sorted(written) == sorted(words), "a word is there twice"


def test_no_name_is_a_listed_word() -> None:
    words = set(severities())
    assert not words & {part.casefold() for signal in load_signals() for part in signal.text.split()}


def test_insults_flagged_in_templates_are_listed_here_too() -> None:
    lines = Path(checks.__file__).with_name("lexicon.txt").read_text(encoding="utf-8").splitlines()
    parts: dict[str, set[str]] = {}
    part = ""
    for line in lines:
        if line.startswith("# "):
            part = line[2:]
        parts.setdefault(part, set()).update(line.partition("#")[0].split())
    flagged = parts["Contempt and insults"] | parts["Swearing"]
    assert len(flagged) > 60
    assert not flagged - set(severities())


def test_scorers_by_name() -> None:
    assert create_scorer("lexicon").name == "lexicon"
    assert re.fullmatch("[0-9a-f]{8}", create_scorer("lexicon").version)
    for unknown in ("", "lexicon:", "transformers", "transformers:", "perspective"):
        with pytest.raises(InputError, match="is unknown; allowed: lexicon, transformers:PATH_OR_NAME"):
            create_scorer(unknown)


def test_without_the_libraries_it_says_how_to_get_them() -> None:
    script = """
import sys
sys.modules["torch"] = None  # what Python itself takes for "not installed"
from servicegap.errors import InputError
from servicegap.toxicity import create_scorer
try:
    create_scorer("transformers:some-model")
except InputError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == (
        "scorer: torch is not installed; install what classifiers need with: "
        "pip install 'servicegap[toxicity]', or use --scorer lexicon\n"
    )


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "day"]


def tiny_classifier(folder: Path, labels: dict[int, str], kind: str) -> Path:
    """Save a classifier of random weights, of the kind that the libraries read."""
    torch = pytest.importorskip("torch", reason="extra toxicity is not installed")
    transformers = pytest.importorskip("transformers", reason="extra toxicity is not installed")
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), model_max_length=16).save_pretrained(
        folder
    )
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=18,
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
        problem_type=kind,
    )
    model = transformers.BertForSequenceClassification(config)
    model.save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore")  # of the libraries, on loading
def test_a_classifier_scores(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path / "one", {0: "neutral", 1: "toxic"}, "single_label_classification")
    scorer = TransformersScorer(str(folder))
    value = scorer.score("good day").value
    assert value is not None
    assert value == pytest.approx(expected(folder, "good day", 1), abs=1e-5)
    assert scorer.score("good day") == TransformersScorer(str(folder)).score("good day")
    assert scorer.score(" ").reason == "the response is empty"
    assert TransformersScorer(str(folder)).version == scorer.version
    other = TransformersScorer(f"{folder}#neutral")
    assert other.score("good day").value == pytest.approx(1 - value, abs=1e-5)
    with pytest.raises(InputError, match="has no label 'rude'; its labels are: neutral, toxic"):
        TransformersScorer(f"{folder}#rude")


@pytest.mark.filterwarnings("ignore")
def test_a_long_text_has_the_score_of_its_worst_window(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path / "one", {0: "neutral", 1: "toxic"}, "single_label_classification")
    scorer = TransformersScorer(str(folder))
    long = scorer.score("good day " * 40 + "bad " * 14).value
    parts = [scorer.score(text).value for text in ("good day " * 7, "bad " * 14)]
    assert long is not None
    assert long >= max(part for part in parts if part is not None) - 1e-4


@pytest.mark.filterwarnings("ignore")
def test_labels_that_do_not_exclude_one_another_are_read_alone(tmp_path: Path) -> None:
    labels = {0: "obscene", 1: "Toxic", 2: "threat"}
    folder = tiny_classifier(tmp_path / "many", labels, "multi_label_classification")
    value = TransformersScorer(str(folder)).score("bad day").value
    assert value == pytest.approx(expected(folder, "bad day", 1, alone=True), abs=1e-5)
    odd = tiny_classifier(tmp_path / "odd", {0: "a", 1: "b"}, "single_label_classification")
    with pytest.raises(InputError, match="names no label that is known to mean toxic; its labels are: a, b"):
        TransformersScorer(str(odd))


@pytest.mark.filterwarnings("ignore")
def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="extra toxicity is not installed")
    pytest.importorskip("transformers", reason="extra toxicity is not installed")
    with pytest.raises(InputError, match="cannot be loaded: "):
        TransformersScorer(str(tmp_path))


def expected(folder: Path, text: str, label: int, *, alone: bool = False) -> float:
    """Return the probability by the library's own pipeline."""
    transformers: Any = pytest.importorskip("transformers")
    pipe = transformers.pipeline("text-classification", model=str(folder), top_k=None)
    function = "sigmoid" if alone else "softmax"
    scores = {each["label"]: each["score"] for each in pipe([text], function_to_apply=function)[0]}
    return float(scores[pipe.model.config.id2label[label]])
