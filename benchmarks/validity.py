"""Does the crossed Welch estimator hold its level? Simulated worlds with a known truth, as a table.

    python benchmarks/validity.py --datasets 1000

Each world draws names and templates anew for every data set, so the claim under test is the one that reports
make: about names and templates that were not in the study. Yes/no outcomes come from a logit with effects of
name, template, group x template and name x template about as large as those of the published pilots. `false
+` is the share of p < 0.05 where the groups do not differ; `coverage` the share of 95 % intervals that hold
the true gap where the first group's logit is one higher; `rates` the share of intervals of the second
group's rate that hold its true value. Data sets without an interval (a group without
events, no template in common) count as covered and are told in `undefined`; `permuted` is the permutation of
names, for outcomes of 1 and 2 % alone. Bounds: false positives at most 7 %, coverage at least 92 %, with the
Monte Carlo error (two standard errors) in the world's favour; outcomes of 1 and 2 % are judged by the
permutation of names.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.group_rates import rates_of
from servicegap.disparity.naive import naive_gaps_of
from servicegap.disparity.permutation import permute_names

Floats = NDArray[np.float64]

MOST_FALSE_POSITIVES = 0.07
LEAST_COVERAGE = 0.92
RARE = 0.02


@dataclass(frozen=True)
class World:
    """Standard deviations are on the logit scale; `lost` is what group a misses, in half of its templates."""

    title: str
    names: tuple[int, int] = (8, 8)
    templates: int = 24
    base: float = 0.2
    samples: int = 1
    name: float = 1.8
    template: float = 3.5
    group_by_template: float = 1.0
    name_by_template: float = 1.2
    name_shape: str = "normal"
    missing: float = 0.0
    lost: float = 0.0


def worlds() -> Iterator[World]:
    for k_a in (4, 8, 16, 24):
        for k_b in (4, 8, 16):
            yield World(f"{k_a} against {k_b} names", names=(k_a, k_b))
    for templates in (4, 8, 16, 48):
        for names in ((4, 4), (8, 8), (24, 16)):
            yield World(f"{templates} templates, {names[0]} against {names[1]} names", names, templates)
    for strength in (0.0, 2.5):
        for names in ((4, 4), (8, 8), (16, 16), (24, 4)):
            title = f"group x template effects {strength:g}, {names[0]} against {names[1]} names"
            yield World(title, names, group_by_template=strength)
    for shape in ("outlier", "skewed"):
        for names in ((4, 4), (8, 8), (16, 8), (24, 4)):
            yield World(f"{shape} name effects, {names[0]} against {names[1]} names", names, name_shape=shape)
    for names in ((4, 4), (8, 8), (16, 4), (24, 16)):
        for templates in (8, 24):
            size = f"{names[0]} against {names[1]} names, {templates} templates"
            yield World(f"20 % missing, {size}", names, templates, missing=0.2)
            yield World(f"60 % of half the templates lost, {size}", names, templates, lost=0.6)
    yield World("60 % lost in a, no group x template effects", lost=0.6, group_by_template=0)
    yield World("60 % lost in a, strong group x template effects", lost=0.6, group_by_template=2.5)
    for base in (0.01, 0.02, 0.03, 0.05, 0.1, 0.3, 0.5):
        for names in ((8, 8), (24, 24)):
            yield World(f"base rate {base:.0%}, {names[0]} against {names[1]} names", names, base=base)
    yield World("3 samples a cell", samples=3)
    yield World("names alone vary", template=0, group_by_template=0, name_by_template=0)
    yield World("templates alone vary", name=0, group_by_template=0, name_by_template=0)
    yield World("nothing but chance", name=0, template=0, group_by_template=0, name_by_template=0)


def name_effects(world: World, rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    if world.name_shape == "skewed":
        return world.name * (rng.exponential(1, size) - 1)
    effects = rng.normal(0, world.name, size)
    if world.name_shape == "outlier":  # as one name in twelve
        effects = 0.4 * effects + 4.0 * (rng.random(size) < 1 / 12)
    return effects


def population_rate(world: World, intercept: float, size: int = 200_000) -> float:
    rng = np.random.default_rng(0)
    rest = np.hypot(np.hypot(world.template, world.group_by_template), world.name_by_template)
    return float(expit(intercept + name_effects(world, rng, (size,)) + rng.normal(0, rest, size)).mean())


def intercept_of(world: World) -> float:
    return float(brentq(lambda x: population_rate(world, x) - world.base, -25, 25, xtol=1e-4))


def simulate(world: World, intercepts: tuple[float, float], rng: np.random.Generator) -> Cells:
    common = rng.normal(0, world.template, world.templates)
    tables = []
    for k, intercept in zip(world.names, intercepts, strict=True):
        own = rng.normal(0, world.group_by_template, world.templates)
        cell = rng.normal(0, world.name_by_template, (k, world.templates))
        tables.append(expit(intercept + common + own + cell + name_effects(world, rng, (k, 1))))
    events = rng.binomial(world.samples, np.vstack(tables)).astype(np.int64)
    kept = rng.random(events.shape) >= world.missing
    hit = rng.permutation(world.templates) < world.templates // 2
    in_a = np.arange(len(events)) < world.names[0]
    kept &= ~(in_a[:, None] & hit[None, :] & (rng.random(events.shape) < world.lost))
    return Cells(
        group=("a",) * world.names[0] + ("b",) * world.names[1],
        signal=tuple(map(str, range(len(events)))),
        template=tuple(map(str, range(world.templates))),
        attributes={},
        part=None,
        mean=np.where(kept, events / world.samples, np.nan),
        responses=np.where(kept, world.samples, 0).astype(np.int64),
        missing=np.where(kept, 0, world.samples).astype(np.int64),
        events=np.where(kept, events, 0),
        scale="yes/no",
    )


@dataclass(frozen=True)
class Line:
    false_positives: float
    naive: float
    permuted: float
    coverage: float
    rate_coverage: float
    undefined: float
    width: float


def permutation_p(cells: Cells, rng: np.random.Generator) -> float:
    in_group = np.array(cells.group) == "a"
    rates = np.nanmean(cells.mean, axis=1)
    return permute_names(rates, in_group, {}, rng).p


def measure(world: World, datasets: int, seed: int) -> Line:
    rng = np.random.default_rng(seed)
    base = intercept_of(world)
    null = [simulate(world, (base, base), rng) for _ in range(datasets)]
    found = [gaps_of(cells, reference="b")["a"] for cells in null]
    naive = [naive_gaps_of(cells, reference="b")["a"].p for cells in null]
    gap = population_rate(world, base + 1) - population_rate(world, base)
    shifted = [gaps_of(simulate(world, (base + 1, base), rng), reference="b")["a"] for _ in range(datasets)]
    rates = [rates_of(cells)["b"] for cells in null]
    hold = [e.low <= world.base <= e.high for e in rates if e.low is not None and e.high is not None]
    intervals = [(e.low, e.high) for e in shifted if e.low is not None and e.high is not None]
    covered = sum(low <= gap <= high for low, high in intervals) + datasets - len(intervals)
    return Line(
        false_positives=sum(e.p is not None and e.p < 0.05 for e in found) / datasets,
        naive=sum(p is not None and p < 0.05 for p in naive) / datasets,
        permuted=(
            sum(permutation_p(cells, rng) < 0.05 for cells in null) / datasets
            if world.base <= RARE
            else float("nan")
        ),
        coverage=covered / datasets,
        rate_coverage=(sum(hold) + datasets - len(hold)) / datasets,
        undefined=sum(e.p is None for e in found) / datasets,
        width=float(np.mean([high - low for low, high in intervals])) if intervals else float("nan"),
    )


def verdict(world: World, line: Line, datasets: int, errors: float = 2) -> str:
    if world.base <= RARE:
        return "rare"

    def error(share: float) -> float:
        return errors * float(np.sqrt(share * (1 - share) / datasets))

    high = line.false_positives - error(MOST_FALSE_POSITIVES) > MOST_FALSE_POSITIVES
    low = min(line.coverage, line.rate_coverage) + error(LEAST_COVERAGE) < LEAST_COVERAGE
    return "FAILED" if high or low else "held"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", type=int, default=500, help="data sets a world (default 500)")
    parser.add_argument("--only", default="", help="only the worlds whose title contains this")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chosen = [world for world in worlds() if options.only in world.title]
    print(
        f"{'world':66} {'false +':>8} {'naive':>7} {'permuted':>9} {'coverage':>9} {'rates':>6} "
        f"{'undefined':>10} {'width':>6}  verdict"
    )
    started, failed = time.perf_counter(), 0
    for world in chosen:
        line = measure(world, options.datasets, options.seed)
        told = verdict(world, line, options.datasets)
        failed += told == "FAILED"
        told_permuted = f"{line.permuted:.1%}" if world.base <= RARE else "-"
        print(
            f"{world.title:66} {line.false_positives:8.1%} {line.naive:7.1%} "
            f"{told_permuted:>9} {line.coverage:9.1%} {line.rate_coverage:6.1%} "
            f"{line.undefined:10.1%} {line.width:6.2f}  {told}",
            flush=True,
        )
    seconds = time.perf_counter() - started
    print(f"{len(chosen)} worlds, {options.datasets} data sets each, {seconds:.0f} s: {failed} failed")


if __name__ == "__main__":
    main()
