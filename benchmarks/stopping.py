"""Is the corrected gap still covered if people stop labelling as soon as its interval is narrow enough?

    python benchmarks/stopping.py --datasets 400

The worlds are those of benchmarks/correction.py: names and templates anew in each data set, an automatic
annotator that errs differently by group. People label responses in batches, in an order by lot; after each
batch the rule of `label_plan.stopping.look` looks: 30 labels and 5 disagreements a group, and the interval no
wider than the target. Labelling ends at the first look that allows it, or when the sample is used up. In the
planned worlds chances are those of `annotator plan`, and a second round is planned by what the first showed.

`coverage` is of the interval at which people stopped, for the gap that holds for new names and templates;
`fixed` the same at a number of labels given beforehand: the mean number at which the rule stopped. Bound: at
least 91 %, with the Monte Carlo error (two standard errors) in the rule's favour.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from correction import Data, World, population_rate, simulate
from numpy.typing import NDArray
from scipy.optimize import brentq

from servicegap.correction.human_sample import YES, human_sample
from servicegap.correction.sampled import cells_of_sample, gaps_of_sample
from servicegap.disparity.cells import Floats
from servicegap.label_plan.allocation import chances, draw
from servicegap.label_plan.outlook import UNSURE, PlannedGap, combined, uncertainty_of, urgency_of
from servicegap.label_plan.stopping import look
from servicegap.records import Estimate

LEAST_COVERAGE = 0.91


@dataclass(frozen=True)
class Rule:
    """A world, and how people label in it; ``target`` is half the width, ``most`` the whole sample."""

    world: World
    target: float
    batch: int
    most: int
    planned: bool = False


@dataclass(frozen=True)
class Stopped:
    """Where labelling ended: whether the rule ended it, with how many labels, and the gap then."""

    early: bool
    labels: int
    looks: int
    gap: Estimate


def rules() -> Iterator[Rule]:
    usual = World("errors differ by group", 1.0)
    for target in (0.16, 0.2, 0.25):
        yield Rule(usual, target, 50, 600)
    yield Rule(usual, 0.2, 20, 600)
    yield Rule(World("no gap", 1.0, shift=0.0), 0.18, 50, 600)
    yield Rule(World("good annotator", 1.0, errors_a=(0.97, 0.99), errors_b=(0.95, 0.995)), 0.17, 50, 600)
    yield Rule(World("base rate 5 %", 1.0, base=0.05), 0.12, 50, 600)
    yield Rule(World("4 names a group", 1.0, names=4), 0.3, 25, 300)
    yield Rule(World("24 names a group, 1 sample", 1.0, names=24, samples=1), 0.15, 50, 600)
    yield Rule(usual, 0.2, 50, 600, planned=True)
    yield Rule(World("no gap", 1.0, shift=0.0), 0.18, 50, 600, planned=True)
    yield Rule(World("24 names a group, 1 sample", 1.0, names=24, samples=1), 0.15, 50, 600, planned=True)


def label_until_told(rule: Rule, data: Data, rng: np.random.Generator) -> Stopped:
    """Label batch after batch; in planned worlds in two rounds of half the sample each."""
    n = len(data.truth)
    former, labelled = np.zeros(n), np.zeros(n, dtype=np.bool_)
    looks = 0
    found: Estimate | None = None
    for size in (rule.most // 2,) * 2 if rule.planned else (rule.most,):
        stratum = strata(data)
        chance = round_chances(rule, data, labelled, size, stratum)
        drawn = draw(chance, stratum, rng)
        new = rng.permutation(np.flatnonzero(drawn & ~labelled))
        for start in range(0, len(new), rule.batch):
            done = labelled.copy()
            done[new[: start + rule.batch]] = True
            own = chance * share_done(drawn, done, labelled, stratum)
            found, why_not = at_batch_end(rule, data, combined(former, own), done)
            looks += 1
            if why_not is None:
                return Stopped(True, int(done.sum()), looks, found)
        former, labelled = combined(former, chance), labelled | drawn
    assert found is not None
    return Stopped(False, int(labelled.sum()), looks, found)


def strata(data: Data) -> NDArray[np.int64]:
    """Number group x automatic label x sure or not."""
    unsure = (data.score >= UNSURE[0]) & (data.score <= UNSURE[1])
    in_a = np.array(data.group) == "a"
    return np.asarray(4 * in_a + 2 * (data.score >= YES) + unsure, dtype=np.int64)


def share_done(
    drawn: NDArray[np.bool_], done: NDArray[np.bool_], before: NDArray[np.bool_], stratum: NDArray[np.int64]
) -> Floats:
    """Return what part of a stratum's drawn responses is settled: chances are lowered by it (labels.py)."""
    settled = np.bincount(stratum, weights=drawn & (done | before))
    whole = np.bincount(stratum, weights=drawn)
    return np.divide(settled, whole, out=np.ones(len(whole)), where=whole > 0)[stratum]


def round_chances(
    rule: Rule, data: Data, labelled: NDArray[np.bool_], size: int, stratum: NDArray[np.int64]
) -> Floats:
    n = len(data.truth)
    if not rule.planned:
        return np.full(n, size / n)
    people = np.where(labelled, data.truth, np.nan)
    groups = np.array(data.group)
    places = [np.flatnonzero(groups == group) for group in "ab"]
    uncertainty = uncertainty_of(data.score, people, pl.Series(stratum).cast(pl.String))
    gap = PlannedGap("", "", "a", "b", places[0], places[1], 0.0, 1.0)
    return chances(urgency_of([gap], uncertainty), labelled, size)


def at_batch_end(
    rule: Rule, data: Data, chance: Floats, done: NDArray[np.bool_]
) -> tuple[Estimate, str | None]:
    label = np.where(done, data.truth, np.nan)
    sample = human_sample(data.score, label, chance, data.group, data.template)
    cells = cells_of_sample(sample, data.group, data.signal, data.template)
    gaps = gaps_of_sample(sample, cells, "b", level=0.95, outcome_name="refused")
    return gaps["a"], look(gaps, sample, "b", rule.target)[1]


def true_gap(world: World) -> float:
    """Return the gap over all names and templates."""
    intercept = float(brentq(lambda x: population_rate(x) - world.base, -25, 25))
    return population_rate(intercept + world.shift) - world.base


def run(rule: Rule, datasets: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    truth = true_gap(rule.world)
    stopped = []
    worlds = []
    for _ in range(datasets):
        data = simulate(rule.world, rng)
        worlds.append(data)
        stopped.append(label_until_told(rule, data, rng))
    mean = round(float(np.mean([each.labels for each in stopped])))
    fixed = [covers(with_so_many(rule, data, mean, rng), truth) for data in worlds]
    widths = [
        (e.gap.high - e.gap.low) / 2 for e in stopped if e.gap.low is not None and e.gap.high is not None
    ]
    return {
        "coverage": float(np.mean([covers(each.gap, truth) for each in stopped])),
        "fixed": float(np.mean(fixed)),
        "early": float(np.mean([each.early for each in stopped])),
        "labels": mean,
        "looks": float(np.mean([each.looks for each in stopped])),
        "width": float(np.median(widths)),
    }


def with_so_many(rule: Rule, data: Data, labels: int, rng: np.random.Generator) -> Estimate:
    chance = np.full(len(data.truth), labels / len(data.truth))
    done = draw(chance, np.zeros(len(chance), dtype=np.int64), rng)
    return at_batch_end(rule, data, chance, done)[0]


def covers(gap: Estimate, truth: float) -> bool:
    return gap.low is None or gap.high is None or gap.low <= truth <= gap.high


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="worlds whose title holds this")
    options = parser.parse_args()
    started = time.perf_counter()
    print("| world | target | batch | coverage | fixed | stopped early | labels | looks | half-width |")
    print("|---|---|---|---|---|---|---|---|---|")
    failed = []
    for rule in rules():
        title = rule.world.title + (", planned" if rule.planned else "")
        if options.only and options.only not in title:
            continue
        found = run(rule, options.datasets, options.seed)
        cells = [
            title,
            f"± {100 * rule.target:.0f}",
            f"{rule.batch}",
            f"{found['coverage']:.1%}",
            f"{found['fixed']:.1%}",
            f"{found['early']:.0%}",
            f"{found['labels']:.0f}",
            f"{found['looks']:.1f}",
            f"± {100 * found['width']:.1f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
        error = 2 * (LEAST_COVERAGE * (1 - LEAST_COVERAGE) / options.datasets) ** 0.5
        if found["coverage"] < LEAST_COVERAGE - error:
            failed.append(title)
    print(f"\n{time.perf_counter() - started:.0f} s; below the bound: {', '.join(failed) or 'none'}")


if __name__ == "__main__":
    main()
