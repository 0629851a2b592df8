"""Does an annotator fitted on a few hundred labels beat the default one on templates that it never saw?

    python benchmarks/fitted.py --draws 20 --labels 300

On the study's published pilot (Llama 2-Chat 7B), which is not part of the project; without it the script says
so and ends. In each draw so many responses are labelled by people, drawn at random:

* cross-fitted: from all templates, as `servicegap annotator fit` does it. Each of the 2,304 responses is
  judged by the model that saw no label of the fold its template is in;
* half: from half of the templates; one model judges all responses to the other half.

For six-class log loss (less is better) and Cohen's kappa (more is better): default, fitted, and the mean
difference over the draws with its 95 % interval. The interval is about which responses are labelled (and how
templates are dealt); the responses judged are those of one pilot. The default annotator, and the way of
fitting, were revised after looks at this file, so the figures flatter both.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from servicegap.annotator_check.measured import confusion_sums, kappas
from servicegap.annotator_fit import FOLDS
from servicegap.annotators import OfflineAnnotator, SignalMask
from servicegap.annotators.learning import Lessons, learn
from servicegap.correction.crossfit import crossfit_scores
from servicegap.disparity.cells import Floats
from servicegap.records import CATEGORIES

PILOT = Path(__file__).parents[1] / ".." / "shared" / "data" / "llama2_7b_chat_annotated.csv"
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Pilot:
    """The pilot's responses with the default annotator's probabilities, and what people say."""

    lessons: Lessons
    people: Codes


def read_pilot(file: Path = PILOT) -> Pilot:
    with file.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    mask, default = SignalMask(row["name"] for row in rows), OfflineAnnotator()
    number = {category: place for place, category in enumerate(CATEGORIES)}
    text, judged = [], []
    for row in rows:
        raw = row[f"g{row['variable'].rsplit(' ', 1)[1]}"]
        text.append(mask.apply(raw.removeprefix(row["prompt_sentence"]).strip()))
        judged.append(default.annotate(mask.apply(row["prompt_sentence"]), text[-1]).probabilities)
    readable = np.array([each is not None for each in judged])
    return Pilot(
        Lessons(
            text=np.array(text, dtype=object)[readable],
            default=np.array([each for each in judged if each is not None]),
            template=np.array([row["og_prompt"] for row in rows], dtype=object)[readable],
            weight=np.ones(int(readable.sum())),
        ),
        np.array([number[row["label"].strip().replace(" ", "_")] for row in rows])[readable],  # type: ignore[index]
    )


def fitter(pilot: Pilot) -> Callable[[NDArray[Any], NDArray[Any]], Callable[[NDArray[Any]], Floats]]:
    def fit(rows: NDArray[Any], category: NDArray[Any]) -> Callable[[NDArray[Any]], Floats]:
        model = learn(pilot.lessons.take(rows), category.astype(np.int64))
        return lambda others: np.array(
            [model.probabilities(pilot.lessons.default[row], pilot.lessons.text[row]) for row in others]
        )

    return fit


def cross_fitted(pilot: Pilot, labels: int, rng: np.random.Generator) -> tuple[Floats, Codes]:
    n = len(pilot.people)
    known = np.full(n, np.nan)
    drawn = rng.choice(n, labels, replace=False)
    known[drawn] = pilot.people[drawn]
    found = crossfit_scores(fitter(pilot), np.arange(n), known, pilot.lessons.template, FOLDS, rng)
    return found.score, np.arange(n)


def half(pilot: Pilot, labels: int, rng: np.random.Generator) -> tuple[Floats, Codes]:
    templates = rng.permutation(np.unique(pilot.lessons.template.astype(str)))
    inside = np.isin(pilot.lessons.template.astype(str), templates[: len(templates) // 2])
    drawn = rng.choice(np.flatnonzero(inside), labels, replace=False)
    others = np.flatnonzero(~inside)
    return fitter(pilot)(drawn, pilot.people[drawn])(others), others


WAYS = {"cross-fitted": cross_fitted, "half": half}


def figures(scores: Floats, people: Codes) -> tuple[float, float]:
    """Return log loss and kappa."""
    loss = -np.log(np.maximum(scores[np.arange(len(people)), people], 1e-6)).mean()
    both = confusion_sums(people, scores.argmax(axis=1), np.ones(len(people)))
    return float(loss), float(kappas(both.sum(axis=0)[None, :])[0])


def measure(pilot: Pilot, way: str, draws: int, labels: int, seed: int = 1) -> Floats:
    """Return default and fitted log loss, default and fitted kappa of each draw, (draws, 4)."""
    found = []
    for draw in range(draws):
        scores, rows = WAYS[way](pilot, labels, np.random.default_rng([seed, draw]))
        pairs = zip(
            figures(pilot.lessons.default[rows], pilot.people[rows]),
            figures(scores, pilot.people[rows]),
            strict=True,
        )
        found.append([value for pair in pairs for value in pair])
    return np.array(found)


def interval(values: Floats) -> tuple[float, float, float]:
    """Return a mean and its 95 % interval (Student's t over the draws)."""
    reach = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()), float(values.mean()) - reach, float(values.mean()) + reach


def told(way: str, found: Floats) -> Iterator[str]:
    for name, column in (("log loss", 0), ("kappa", 2)):
        mean, low, high = interval(found[:, column + 1] - found[:, column])
        default, fitted = found[:, column].mean(), found[:, column + 1].mean()
        yield f"| {way} | {name} | {default:.3f} | {fitted:.3f} | {mean:+.4f} ({low:+.4f} to {high:+.4f}) |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--labels", type=int, default=300)
    options = parser.parse_args()
    if not PILOT.is_file():
        sys.exit(f"{PILOT.name}: not found; this benchmark needs the study's published pilot.")
    started = time.perf_counter()
    pilot = read_pilot()
    print("| templates | figure | default | fitted | difference |\n|---|---|---|---|---|")
    for way in WAYS:
        for line in told(way, measure(pilot, way, options.draws, options.labels)):
            print(line, flush=True)
    print(f"\n{options.draws} draws of {options.labels} labels, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
