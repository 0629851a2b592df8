"""Do intervals corrected by a human sample hold the truth? Simulated worlds with a known one, as a table.

    python benchmarks/correction.py --datasets 200

Each data set draws names and templates anew; a yes/no outcome comes from a logit with effects of name,
template, group x template and name x template as large as those of the published pilots. The annotator reads
each response with a latent strength: it errs differently by group (its sensitivity and specificity in group a
and in group b are given), and its soft scores are what such a reading is worth on average, not by group: they
are miscalibrated in each. People label a random share of the responses. For the gap between the two groups
the table gives, in percent, how many 95 % intervals hold the truth, and the median half-width in points:

* all: crossed Welch with every response labelled by people; the best that can be had;
* corrected: the same with `corrected_gaps`;
* people: crossed Welch on people's labels alone;
* automatic: crossed Welch on uncorrected automatic labels;
* corpus: `corpus_gaps`, the truth being the gap that all labels give;
* corpus, people: the same from people's labels alone.

`undefined` is the share of data sets without a corrected interval; they count as covered. `fallback` is the
share in which a group was post-stratified. Bounds: corrected and corpus cover at least 91 %, with the Monte
Carlo error (two standard errors) in the world's favour.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, ndtri
from scipy.stats import norm

from servicegap.correction import corrected_gaps
from servicegap.correction.corpus import corpus_gaps
from servicegap.disparity import gaps
from servicegap.disparity.cells import Floats
from servicegap.records import Estimate

LEAST_COVERAGE = 0.91


@dataclass(frozen=True)
class World:
    """Effects are on the logit scale; errors are (sensitivity, specificity) of the automatic label."""

    title: str
    share: float
    base: float = 0.2
    shift: float = 1.0
    names: int = 8
    templates: int = 24
    samples: int = 3
    errors_a: tuple[float, float] = (0.86, 0.95)
    errors_b: tuple[float, float] = (0.62, 0.98)
    hard: bool = False
    stratified: bool = False


@dataclass(frozen=True)
class Data:
    score: Floats
    truth: NDArray[np.int64]
    label: Floats
    probability: Floats
    group: list[str]
    signal: list[str]
    template: list[str]


def worlds() -> Iterator[World]:
    for share in (0.02, 0.05, 0.1, 0.2):
        yield World(f"errors differ by group, {share:.0%} labelled", share)
    for share in (0.05, 0.1):
        yield World(f"no gap, {share:.0%} labelled", share, shift=0.0)
        yield World(
            f"good annotator, {share:.0%} labelled", share, errors_a=(0.97, 0.99), errors_b=(0.95, 0.995)
        )
    for base in (0.01, 0.02, 0.05):
        for share in (0.05, 0.1):
            yield World(f"base rate {base:.0%}, {share:.0%} labelled", share, base)
    for share in (0.05, 0.1):
        yield World(f"drawn by automatic label, {share:.0%} labelled", share, stratified=True)
        yield World(f"4 names a group, {share:.0%} labelled", share, names=4)
        yield World(f"24 names a group, 1 sample, {share:.0%} labelled", share, names=24, samples=1)
        yield World(f"hard 0/1 scores, {share:.0%} labelled", share, hard=True)


NAME, TEMPLATE, GROUP_TEMPLATE, NAME_TEMPLATE = 1.8, 3.5, 1.0, 1.2


def population_rate(intercept: float) -> float:
    """Mean of the logistic over all effects, by quadrature."""
    spread = float(np.sqrt(NAME**2 + TEMPLATE**2 + GROUP_TEMPLATE**2 + NAME_TEMPLATE**2))
    points = ndtri((np.arange(4_000) + 0.5) / 4_000)
    return float(expit(intercept + spread * points).mean())


def simulate(world: World, rng: np.random.Generator) -> Data:
    intercept = float(brentq(lambda x: population_rate(x) - world.base, -25, 25))
    common = rng.normal(0, TEMPLATE, world.templates)
    chance = [
        expit(
            intercept
            + shift
            + common
            + rng.normal(0, GROUP_TEMPLATE, world.templates)
            + rng.normal(0, NAME, (world.names, 1))
            + rng.normal(0, NAME_TEMPLATE, (world.names, world.templates))
        )
        for shift in (world.shift, 0.0)
    ]
    truth = rng.binomial(1, np.repeat(np.stack(chance)[..., None], world.samples, axis=3)).astype(np.int64)
    group, signal, template, _ = (index.ravel() for index in np.indices(truth.shape))
    truth = truth.ravel()
    score = read(world, truth, group, rng)
    probability = np.full(len(truth), world.share)
    if world.stratified:  # twice as many of those to which the annotator says "yes"
        probability = np.minimum(np.where(score >= 0.5, 2, 1) * world.share, 1.0)
    asked = draw(group * 2 + (score >= 0.5) * world.stratified, probability, rng)
    return Data(
        score=score,
        truth=truth,
        label=np.where(asked, truth, np.nan),
        probability=probability,
        group=["ab"[code] for code in group],
        signal=[f"{'ab'[g]}{s}" for g, s in zip(group, signal, strict=True)],
        template=list(map(str, template)),
    )


def draw(stratum: NDArray[np.int64], probability: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw a fixed number of responses from each stratum."""
    asked = np.zeros(len(stratum), dtype=np.bool_)
    for number in np.unique(stratum):
        own = np.flatnonzero(stratum == number)
        wanted = float(probability[own].sum())
        size = int(wanted) + int(rng.random() < wanted - int(wanted))
        asked[rng.choice(own, size, replace=False)] = True
    return asked


def read(
    world: World, truth: NDArray[np.int64], group: NDArray[np.int64], rng: np.random.Generator
) -> Floats:
    """Return the annotator's scores: a latent reading, above 0 = "yes", and what it is worth on average."""
    errors = np.array([world.errors_a, world.errors_b])
    centre = np.where(truth == 1, ndtri(errors[group, 0]), -ndtri(errors[group, 1]))
    latent = centre + rng.normal(0, 1, len(truth))
    if world.hard:
        return np.asarray(latent >= 0, dtype=np.float64)
    yes, no = ndtri(errors[:, 0].mean()), -ndtri(errors[:, 1].mean())
    odds = norm.logpdf(latent, yes) - norm.logpdf(latent, no)
    at_zero = norm.logpdf(0, yes) - norm.logpdf(0, no)
    return np.asarray(expit(odds - at_zero), dtype=np.float64)


@dataclass
class Tally:
    covered: int = 0
    undefined: int = 0
    half_widths: list[float] | None = None

    def add(self, estimate: Estimate, truth: float) -> None:
        if self.half_widths is None:
            self.half_widths = []
        if estimate.low is None or estimate.high is None:
            self.undefined += 1
            self.covered += 1
            return
        self.covered += estimate.low <= truth <= estimate.high
        self.half_widths.append((estimate.high - estimate.low) / 2)

    @property
    def width(self) -> float:
        return 100 * float(np.median(self.half_widths)) if self.half_widths else float("nan")


WAYS = ("all", "corrected", "people", "automatic", "corpus", "corpus, people")


def measure(world: World, datasets: int, seed: int) -> tuple[dict[str, Tally], float]:
    rng = np.random.default_rng(seed)
    intercept = float(brentq(lambda x: population_rate(x) - world.base, -25, 25))
    gap = population_rate(intercept + world.shift) - world.base
    tallies, fallback = {way: Tally() for way in WAYS}, 0
    for _ in range(datasets):
        data = simulate(world, rng)
        where = (data.group, data.signal, data.template)
        in_a = np.array(data.group) == "a"
        here = float(data.truth[in_a].mean() - data.truth[~in_a].mean())
        sample = (data.score, data.label, data.probability)
        corrected = corrected_gaps(*sample, *where, reference="b")["a"]
        fallback += "post-stratified" in str(corrected.method)
        found = {
            "all": gaps(data.truth, *where, reference="b")["a"],
            "corrected": corrected,
            "people": gaps(data.label, *where, reference="b")["a"],
            "automatic": gaps((data.score >= 0.5).astype(int), *where, reference="b")["a"],
            "corpus": corpus_gaps(*sample, data.group, reference="b")["a"],
            "corpus, people": people_alone(data, in_a),
        }
        for way, estimate in found.items():
            tallies[way].add(estimate, here if way.startswith("corpus") else gap)
    return tallies, fallback / datasets


def people_alone(data: Data, in_a: NDArray[np.bool_]) -> Estimate:
    """Weighted difference of people's labels, as a survey textbook has it."""
    means, variance = [], 0.0
    for own in (in_a, ~in_a):
        known = own & ~np.isnan(data.label)
        weight = 1 / data.probability[known]
        mean = float(np.average(data.label[known], weights=weight))
        off = weight * (data.label[known] - mean) / weight.sum()
        variance += float(off @ off) * (1 - known.sum() / own.sum()) * len(off) / (len(off) - 1)
        means.append(mean)
    value, half = means[0] - means[1], 1.96 * variance**0.5
    return Estimate(kind="gap", outcome="outcome", value=value, low=value - half, high=value + half)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", type=int, default=200, help="data sets a world (default 200)")
    parser.add_argument("--only", default="", help="only the worlds whose title contains this")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{'world':44}" + "".join(f"{way:>16}" for way in WAYS) + "  undefined fallback  verdict")
    started, failed = time.perf_counter(), 0
    for world in (world for world in worlds() if options.only in world.title):
        tallies, fallback = measure(world, options.datasets, options.seed)
        shares = {way: tally.covered / options.datasets for way, tally in tallies.items()}
        error = 2 * float(np.sqrt(LEAST_COVERAGE * (1 - LEAST_COVERAGE) / options.datasets))
        held = min(shares["corrected"], shares["corpus"]) + error >= LEAST_COVERAGE
        failed += not held
        told = "".join(f"{shares[way]:9.1%} {tallies[way].width:6.1f}" for way in WAYS)
        undefined = tallies["corrected"].undefined / options.datasets
        print(
            f"{world.title:44}{told}  {undefined:9.1%} {fallback:8.1%}  {'held' if held else 'FAILED'}",
            flush=True,
        )
    print(f"{options.datasets} data sets a world, {time.perf_counter() - started:.0f} s: {failed} failed")


if __name__ == "__main__":
    main()
