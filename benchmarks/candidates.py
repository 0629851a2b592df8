"""Is there a stronger estimator than crossed Welch with few names? Candidates in the worlds of validity.py.

    python benchmarks/candidates.py --datasets 2000

Each candidate sees the same complete data sets. `unbiased`: V = V_n + V_t - V_i wherever that is above V_i,
without the floors V_n and V_t. `unbiased, floor`: the same, on min(K_A, K_B, T) - 1 degrees of freedom where
Satterthwaite's are fewer. `studentised`: names exchanged between the groups, compared by D / sqrt(V) of
crossed Welch instead of D (199 arrangements). Printed: false positives at a nominal 5 % where the groups do
not differ, and power where the first group's logit is one higher.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr
from validity import World, intercept_of, simulate

from servicegap.disparity.additive import TooLittleError, fit
from servicegap.disparity.crossed import contrast

Floats = NDArray[np.float64]
Tables = tuple[Floats, Floats]
DRAWS = 199
NOTHING = 1e-12


def worlds() -> Iterator[World]:
    for names in ((4, 4), (8, 8), (4, 8)):
        size = f"{names[0]} against {names[1]} names"
        yield World(size, names)
        yield World(f"{size}, 8 templates", names, templates=8)
        yield World(f"{size}, no group x template effects", names, group_by_template=0)
        yield World(f"{size}, strong group x template effects", names, group_by_template=2.5)
        yield World(f"{size}, skewed name effects", names, name_shape="skewed")
        yield World(f"{size}, base rate 50 %", names, base=0.5)
        yield World(f"{size}, names hardly differ", names, name=0.3)


def crossed_welch(tables: Tables, rng: np.random.Generator) -> float:
    found = contrast([[tables[0]], [tables[1]]], [[1], [-1]])
    return found.p if found.variance > NOTHING else 1.0


def unbiased(tables: Tables, rng: np.random.Generator, *, floor: bool = False) -> float:
    """V as it is expected to be, with Satterthwaite's degrees of freedom of its own three terms."""
    a, b = (fit(table) for table in tables)
    k, t = (len(a.names), len(b.names)), tables[0].shape[1]
    names = [one.names.var(ddof=1) / n for one, n in zip((a, b), k, strict=True)]
    templates = float((a.templates - b.templates).var(ddof=1) / t)
    cells = [one.cell_variance / (n * t) for one, n in zip((a, b), k, strict=True)]
    variance = max(sum(names) + templates - sum(cells), sum(cells))
    if variance <= NOTHING:
        return 1.0
    scale = sum(v**2 / (n - 1) for v, n in zip(names, k, strict=True)) + templates**2 / (t - 1)
    scale += sum(v**2 / ((n - 1) * (t - 1)) for v, n in zip(cells, k, strict=True))
    df = variance**2 / scale
    df = max(df, min(*k, t) - 1) if floor else max(df, 1.0)
    return float(2 * stdtr(df, -abs(a.mean - b.mean) / variance**0.5))


def studentised(tables: Tables, rng: np.random.Generator) -> float:
    whole, n = np.vstack(tables), len(tables[0])

    def statistic(order: NDArray[np.intp]) -> float:
        found = contrast([[whole[order[:n]]], [whole[order[n:]]]], [[1], [-1]])
        return abs(found.value) / found.se if found.variance > NOTHING else 0.0

    seen = statistic(np.arange(len(whole)))
    drawn = [statistic(rng.permutation(len(whole))) for _ in range(DRAWS)]
    return (1 + sum(each >= seen - 1e-9 for each in drawn)) / (DRAWS + 1)


CANDIDATES: dict[str, Callable[[Tables, np.random.Generator], float]] = {
    "crossed Welch": crossed_welch,
    "unbiased": unbiased,
    "unbiased, floor": lambda tables, rng: unbiased(tables, rng, floor=True),
    "studentised": studentised,
}


def called(world: World, shift: float, datasets: int, names: list[str], seed: int) -> dict[str, float]:
    rng, base = np.random.default_rng(seed), intercept_of(world)
    found = dict.fromkeys(names, 0)
    for _ in range(datasets):
        mean = simulate(world, (base + shift, base), rng).mean
        tables = (mean[: world.names[0]], mean[world.names[0] :])
        for name in names:
            try:
                found[name] += CANDIDATES[name](tables, rng) < 0.05
            except TooLittleError:
                continue
    return {name: count / datasets for name, count in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", type=int, default=500, help="data sets a world (default 500)")
    parser.add_argument("--studentised", action="store_true", help="with the slow candidate too")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = [name for name in CANDIDATES if name != "studentised" or options.studentised]
    print(f"{'false positives / power':52}" + "".join(f"{name:>20}" for name in names))
    started, worst = time.perf_counter(), dict.fromkeys(names, 0.0)
    for world in worlds():
        null = called(world, 0.0, options.datasets, names, options.seed)
        power = called(replace(world), 1.0, options.datasets, names, options.seed + 1)
        worst = {name: max(worst[name], null[name]) for name in names}
        cells = "".join(f"{f'{null[name]:.1%} / {power[name]:.1%}':>20}" for name in names)
        print(f"{world.title:52}{cells}", flush=True)
    print(f"{'most false positives':52}" + "".join(f"{worst[name]:>20.1%}" for name in names))
    print(f"{options.datasets} data sets a world, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
