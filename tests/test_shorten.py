"""What is left out of the default annotator's network: inputs that the others can stand for."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
shorten = importlib.import_module("shorten")

rng = np.random.default_rng(3)
FREE = rng.normal(size=(5_000, 6)) + 1.0
WEIGHTS = rng.normal(size=(8, 3))
BIAS = rng.normal(size=3)


def inputs_of(given: np.ndarray) -> object:
    return shorten.Inputs(given.mean(axis=0), np.cov(given, rowvar=False))


def test_inputs_that_are_told_from_others_are_left_out_and_nothing_is_lost() -> None:
    given = np.column_stack([FREE, FREE[:, 0] - 2 * FREE[:, 3], FREE[:, 1]])
    kept, short = shorten.shortened(shorten.Map(WEIGHTS, BIAS), inputs_of(given), 1e-4, size=1, n_groups=1)
    assert len(kept) == 6
    assert given[:, kept] @ short.weights + short.bias == pytest.approx(given @ WEIGHTS + BIAS, abs=0.01)


def test_more_than_one_may_be_left_out_at_a_time() -> None:
    given = np.column_stack([FREE, FREE[:, 0] - 2 * FREE[:, 3], FREE[:, 1]])
    kept, short = shorten.shortened(shorten.Map(WEIGHTS, BIAS), inputs_of(given), 1e-4, size=1, n_groups=2)
    assert len(kept) == 6
    assert given[:, kept] @ short.weights + short.bias == pytest.approx(given @ WEIGHTS + BIAS, abs=0.01)


def test_groups_are_kept_or_left_out_whole() -> None:
    noise = rng.normal(scale=0.01, size=(5_000, 2))
    given = np.column_stack([FREE, FREE[:, 2:4] + noise])
    kept, _ = shorten.shortened(shorten.Map(WEIGHTS, BIAS), inputs_of(given), 0.01, size=2, n_groups=1)
    assert len(kept) == 6
    assert {tuple(pair) for pair in kept.reshape(-1, 2).tolist()} < {(0, 1), (2, 3), (4, 5), (6, 7)}


def test_no_more_is_lost_than_is_allowed() -> None:
    given = rng.normal(size=(5_000, 8))
    outputs = given @ WEIGHTS
    whole = shorten.Map(WEIGHTS, BIAS)
    shares = []
    for lost in (0.05, 0.2, 0.5):
        kept, short = shorten.shortened(whole, inputs_of(given), lost, size=1, n_groups=1)
        left = outputs - (given[:, kept] @ short.weights + short.bias - BIAS)
        shares.append(left.var(axis=0).sum() / outputs.var(axis=0).sum())
        assert shares[-1] <= lost + 1e-3
        assert len(kept) < 8 or lost < 0.1
    assert shares[-1] > shares[0]


def test_where_all_differ_all_are_kept() -> None:
    kept, short = shorten.shortened(
        shorten.Map(WEIGHTS, BIAS), inputs_of(rng.normal(size=(5_000, 8))), 1e-6, size=1, n_groups=1
    )
    assert kept.tolist() == list(range(8))
    assert short.weights == pytest.approx(WEIGHTS)
