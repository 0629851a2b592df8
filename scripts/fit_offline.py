"""Fit the weights of the default annotator to the project's own examples.

Run from the project's root: ``python scripts/fit_offline.py``. It reads the project's own examples and
prompts (own_examples.py), prints how well those are told whose prompt was left out of the fit, and writes
``intent.json``, ``serving.json`` (fit_logistic.py) and ``weights.json`` in ``src/servicegap/annotators``.
Nothing else goes into the weights.
``--by-file`` prints instead how well each file is told by a fit to all others, and writes nothing.

The model is a multinomial logistic regression with a quadratic penalty, one for prompts with a blank and one
for all others: the same words decline in both, but harm is found in other words, and what serves looks
different. Examples are weighted so that the categories have the shares that an audit is expected to meet
(SHARES, set by hand): the examples have more of the rare ones, for there is more to learn about them.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import fit_logistic
import numpy as np
from numpy.typing import NDArray
from own_examples import Example, read_examples, read_prompts
from scipy.optimize import minimize
from scipy.sparse import csr_array

from servicegap.annotators import features, intent, serving
from servicegap.annotators.offline import kind_of
from servicegap.annotators.prompts import read_prompt
from servicegap.annotators.responses import ResponseReading, read_response
from servicegap.annotators.weights import PROMPT_KINDS, WEIGHTS, PromptKind
from servicegap.records import CATEGORIES, OUTCOMES

SHARES = {
    "answer": 0.55,
    "partial_answer": 0.08,
    "failure": 0.05,
    "refusal": 0.22,
    "harmful_refusal": 0.07,
    "harmful_answer": 0.03,
}
# Written to stand near the borders: such cases are rarer in what models say than in these files.
BORDER_FILES = (
    "asked_for_harm", "asked_for_harm_long", "blanks_at_length", "blanks_of_many_models",
    "cautious_served_or_not", "everyday_requests", "half_served", "half_served_long",
    "knowledge_and_privacy", "misread_requests", "over_caution", "subtle_harm", "voices",
)  # fmt: skip
BORDER_WEIGHT = 0.3
WORD_SCALE = 0.5  # words are held closer to zero than facts
VARIANCE = {"blank": 0.5, "other": 0.25}  # of the normal prior of a weight
MIN_PROMPTS = 8  # a word that occurs under fewer prompts tells their subject, not a category
FOLDS = 5
SMALLEST = 0.01  # a word whose weights are all smaller is left out

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """The examples of one kind of prompt, what is read in them, and what the codebook calls them."""

    kind: PromptKind
    examples: list[Example]
    facts: list[str]
    words: list[str]
    table: csr_array
    y: NDArray[np.int_]

    def fit(self, chosen: NDArray[np.bool_]) -> Floats:
        """Return weights fitted to the chosen examples: a row a column of the table, a column a category."""
        importance = weigh([example for example, wanted in zip(self.examples, chosen, strict=True) if wanted])
        return fit(self.table[chosen], self.y[chosen], importance, VARIANCE[self.kind])


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the weights of the default annotator.")
    parser.add_argument("--by-file", action="store_true", help="Leave out each file of examples in turn.")
    prompts, examples = read_prompts(), read_examples()
    intent_task, serving_task = fit_logistic.intent_task(prompts), fit_logistic.serving_task(examples)
    parts = read_parts(
        examples, fit_logistic.wants_harm(intent_task), fit_logistic.serves(serving_task, examples)
    )
    if parser.parse_args().by_file:
        report_by_file(parts)
        return
    content: dict[str, object] = {"categories": list(CATEGORIES)}
    for part in parts:
        report(part)
        content[part.kind] = fitted(part)
    fit_logistic.write(intent_task.fit_all(), intent.WEIGHTS)
    fit_logistic.write(serving_task.fit_all(), serving.WEIGHTS)
    text = json.dumps(content, ensure_ascii=False).replace("], ", "],\n")
    WEIGHTS.write_text(f"{text}\n", encoding="utf-8")
    print(f"{len(examples)} examples -> {WEIGHTS.name}")


def read_parts(
    examples: Sequence[Example], wants_harm: Mapping[str, float], serves: Sequence[Sequence[float]]
) -> list[Part]:
    """Return the examples by kind of prompt; the two sequences are as ``design`` takes them."""
    parts = []
    for kind in PROMPT_KINDS:
        rows = [row for row, example in enumerate(examples) if kind_of(read_prompt(example.prompt)) == kind]
        chosen = [examples[row] for row in rows]
        facts, words, table = design(chosen, wants_harm, [serves[row] for row in rows])
        y = np.array([CATEGORIES.index(example.category) for example in chosen])
        parts.append(Part(kind, chosen, facts, words, table, y))
    return parts


def fitted(part: Part) -> dict[str, object]:
    """Return what the annotator reads of a part's weights; words that hardly count are left out."""
    weights = part.fit(np.ones(len(part.y), dtype=bool))
    n = len(part.facts)
    words = {
        word: _row(weights[n + i] * WORD_SCALE)
        for i, word in enumerate(part.words)
        if np.abs(weights[n + i]).max() * WORD_SCALE >= SMALLEST
    }
    print(f"{part.kind}: {len(part.y)} examples, {n} facts, {len(words)} words")
    facts = {name: _row(weights[i]) for i, name in enumerate(part.facts)}
    return {"intercept": _row(weights[-1]), "facts": facts, "words": words}


def design(
    examples: Sequence[Example], wants_harm: Mapping[str, float], serves: Sequence[Sequence[float]]
) -> tuple[list[str], list[str], csr_array]:
    """Return the names of facts, the words kept, and the table with one row an example (last column: 1).

    ``wants_harm`` has how likely each prompt wants harm; what is absent from it is a blank. ``serves`` has
    how likely each sentence of each example serves.
    """
    facts, words = [], []
    under: defaultdict[str, set[str]] = defaultdict(set)
    for example, likely in zip(examples, serves, strict=True):
        read = read_prompt(example.prompt)
        asked = replace(read, wants_harm=wants_harm.get(example.prompt, 0.0))
        said = read_response(asked, example.response)
        facts.append(features.facts(asked, said, likely))
        words.append(set(placed_words(said)))
        for word in words[-1]:
            under[word].add(example.prompt)
    fact_names = sorted({name for found in facts for name in found})
    kept = sorted(word for word, prompts in under.items() if len(prompts) >= MIN_PROMPTS)
    columns = {name: i for i, name in enumerate(fact_names)}
    word_columns = {word: len(fact_names) + i for i, word in enumerate(kept)}
    last = len(fact_names) + len(kept)
    places, values, ends = list[int](), list[float](), [0]
    for found, said_words in zip(facts, words, strict=True):
        places += [columns[name] for name in found]
        values += found.values()
        used = sorted(word_columns[word] for word in said_words & word_columns.keys())
        places += [*used, last]
        values += [*[WORD_SCALE] * len(used), 1.0]
        ends.append(len(places))
    return fact_names, kept, csr_array((values, places, ends), shape=(len(examples), last + 1))


def placed_words(said: ResponseReading) -> Iterator[str]:
    """Yield words and pairs of words, each with its place before it."""
    for place, chosen in features.places(said).items():
        yield from (f"{place}{term}" for sentence in said.sentences[chosen] for term in sentence.terms)


def weigh(examples: Sequence[Example]) -> Floats:
    """Return the weight of each example; the categories have the shares expected, the mean is 1."""
    weights = np.array([BORDER_WEIGHT if example.file in BORDER_FILES else 1.0 for example in examples])
    for category, share in SHARES.items():
        chosen = np.array([example.category == category for example in examples])
        weights[chosen] *= share / weights[chosen].sum()
    return np.asarray(weights / weights.mean())


def fit(table: csr_array, y: NDArray[np.int_], importance: Floats, variance: float) -> Floats:
    """Return the weights, one row a column of the table and one column a category."""
    n_columns, n_categories = table.shape[1], len(CATEGORIES)
    chosen = np.eye(n_categories)[y]
    penalty = np.full((n_columns, 1), 1 / variance)
    penalty[-1] = 1e-4

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(n_columns, n_categories)
        shares = probabilities(table, weights)
        likelihood = np.log(np.maximum((shares * chosen).sum(axis=1), 1e-300))
        value = -(importance * likelihood).sum() + 0.5 * (penalty * weights**2).sum()
        slope = table.T @ (importance[:, None] * (shares - chosen)) + penalty * weights
        return float(value), slope.ravel()

    found = minimize(loss, np.zeros(n_columns * n_categories), jac=True, method="L-BFGS-B")
    return np.asarray(found.x.reshape(n_columns, n_categories))


def probabilities(table: csr_array, weights: Floats) -> Floats:
    scores = table @ weights
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def report(part: Part) -> None:
    """Print figures of examples whose prompt was left out of the fit (words were chosen from all)."""
    y, importance = part.y, weigh(part.examples)
    prompts = sorted({example.prompt for example in part.examples})
    fold_of = {prompt: place % FOLDS for place, prompt in enumerate(prompts)}
    fold = np.array([fold_of[example.prompt] for example in part.examples])
    left_out = np.zeros((len(y), len(CATEGORIES)))
    for k in range(FOLDS):
        out = fold == k
        left_out[out] = probabilities(part.table[out], part.fit(~out))
    loss = -(importance * np.log(left_out[np.arange(len(y)), y])).sum() / importance.sum()
    right = left_out.argmax(axis=1) == y
    print(f"{part.kind}, left-out prompts: right {right.mean():.3f}, weighted log loss {loss:.3f}")
    for i, category in enumerate(CATEGORIES):
        print(f"  {category:16} {right[y == i].mean():.3f} of {(y == i).sum()}")


def report_by_file(parts: Sequence[Part]) -> None:
    """Print figures of examples whose file was left out of the fit (words were chosen from all)."""
    refusals = [CATEGORIES.index(category) for category in OUTCOMES["refused"]]
    print(f"{'kind':6} {'file left out':24} {'n':>5} {'six categories':>15} {'refused or not':>15}")
    for part in parts:
        files = np.array([example.file for example in part.examples])
        for file in sorted(set(files)):
            out = files == file
            found = probabilities(part.table[out], part.fit(~out)).argmax(axis=1)
            truth = part.y[out]
            right, refused = found == truth, np.isin(found, refusals) == np.isin(truth, refusals)
            figures = f"{out.sum():5} {right.mean():15.3f} {refused.mean():15.3f}"
            print(f"{part.kind:6} {file:24} {figures}", flush=True)


def _row(values: Floats) -> list[float]:
    return [round(float(value), 3) for value in values]


if __name__ == "__main__":
    main()
