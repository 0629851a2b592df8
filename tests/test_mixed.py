import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit

from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.laplace import CrossedLogit
from servicegap.disparity.mixed import Interactions, fit_mixed
from servicegap.errors import DataError

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"
MODELS: dict[str, Interactions] = {"M1": "none", "M2": "name x template", "M3": "all"}


def simulated(
    names: int,
    templates: int,
    shift: float,
    seed: int,
    *,
    gt: float = 0.8,
    nt: float = 0.8,
    holes: float = 0.0,
) -> Cells:
    """Two groups, 2 responses a cell; sd 1 between names, 1.2 between templates."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 1.2, templates)
    logits = np.vstack(
        [
            base
            + rng.normal(0, 1, (names, 1))
            + common
            + rng.normal(0, gt, templates)
            + rng.normal(0, nt, (names, templates))
            for base in (-0.5 + shift, -0.5)
        ]
    )
    y = (rng.random((2, *logits.shape)) < expit(logits)).astype(float)
    y[:, rng.random(logits.shape) < holes] = np.nan
    _, name, template = (index.ravel() for index in np.indices(y.shape))
    return aggregate(y.ravel(), np.where(name < names, "a", "b"), name, template)


@pytest.mark.parametrize(("gt", "nt"), [(False, False), (False, True), (True, False), (True, True)])
def test_gradient_is_that_of_the_value(gt: bool, nt: bool) -> None:
    cells = simulated(4, 5, 1.0, 1, holes=0.2)
    group = np.array([0 if g == "b" else 1 for g in cells.group])
    design = np.array([[1.0, 0], [1, 1]])
    model = CrossedLogit(cells.events.astype(float), cells.responses.astype(float), group, design, gt, nt)
    at = np.array([-0.4, 0.9, 0.1, 0.3, *([-0.5] * gt), *([0.2] * nt)])
    found = model.evaluate(at)
    numeric = approx_fprime(at, lambda x: model.evaluate(x).value, 1e-6)
    assert found.gradient == pytest.approx(numeric, abs=2e-4)


def test_likelihood_agrees_with_numerical_integration() -> None:
    """Names alone vary: the integral falls apart into one a name, done here on a grid."""
    cells = simulated(12, 40, 0.5, 2)
    group = np.array([0 if g == "b" else 1 for g in cells.group])
    events, responses = cells.events.astype(float), cells.responses.astype(float)
    model = CrossedLogit(events, responses, group, np.array([[1.0, 0], [1, 1]]), False, False)
    b, d, sd = -0.4, 0.5, 0.9
    u = np.linspace(-8, 8, 4001)
    logits = b + d * group[:, None] + sd * u[None, :]
    total, n = events.sum(axis=1)[:, None], responses.sum(axis=1)[:, None]
    density = np.exp(total * logits - n * np.logaddexp(0, logits) + 45 - u**2 / 2) / np.sqrt(2 * np.pi)
    expected = -(np.log(density.sum(axis=1) * (u[1] - u[0])) - 45).sum()
    # Laplace's error is about 1 / (information of a name): here 24 names of some 0.003 each.
    assert model.evaluate(np.array([b, d, np.log(sd), -12.0])).value == pytest.approx(expected, abs=0.1)


def test_known_effects_come_back() -> None:
    found = fit_mixed(simulated(30, 40, 1.0, 1, nt=0), "b")
    assert found.converged
    assert found.groups == ("b", "a")
    assert found.coefficients[1] == pytest.approx(1.0, abs=3 * found.standard_errors[1])
    assert found.variances["name"] == pytest.approx(1, abs=0.35)
    assert found.variances["template"] == pytest.approx(1.44, abs=0.7)
    assert found.variances["group x template"] == pytest.approx(0.64, abs=0.3)
    assert found.variances["name x template"] < 0.1
    gap = found.gaps["a"]
    assert gap.value == pytest.approx(found.rates["a"] - found.rates["b"])
    assert gap.value == pytest.approx(0.17, abs=0.08)
    assert found.p < 0.05


def test_no_difference_is_not_called_and_a_variance_of_zero_does_no_harm() -> None:
    found = fit_mixed(simulated(10, 12, 0.0, 4, gt=0, nt=0), "b")
    assert found.p > 0.05
    assert found.variances["group x template"] < 0.3
    assert np.isfinite(found.standard_errors).all()
    gap = found.gaps["a"]
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low < 0 < gap.high


def test_group_names_and_their_order_do_not_matter() -> None:
    cells = simulated(6, 8, 0.7, 5, holes=0.2)
    one, other = fit_mixed(cells, "b"), fit_mixed(cells, "a")
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-3)
    assert one.chi_square == pytest.approx(other.chi_square, abs=2e-3)
    assert one.gaps["a"].value == pytest.approx(-(other.gaps["b"].value or 0), abs=1e-3)
    assert one.gaps["a"].se == pytest.approx(other.gaps["b"].se, rel=0.01)


def test_what_cannot_be_fitted() -> None:
    none = aggregate([0, 0, 1, 0], ["a", "a", "b", "b"], [1, 2, 3, 4], [1, 1, 1, 1])
    with pytest.raises(DataError, match="0 of 2 responses of 'a' have the outcome"):
        fit_mixed(none, "b")
    with pytest.raises(DataError, match="reference 'c' and another group"):
        fit_mixed(none, "c")
    with pytest.raises(DataError, match="yes/no"):
        fit_mixed(aggregate([0, 0.5, 1, 0], ["a", "a", "b", "b"], [1, 2, 3, 4], [1, 1, 1, 1]), "b")


@pytest.mark.parametrize(
    "outcome",
    ["refused", *(pytest.param(name, marks=pytest.mark.slow) for name in ("harmref", "nonans", "notfull"))],
)
@pytest.mark.parametrize("model", MODELS)
def test_agrees_with_lme4_on_the_published_pilot(outcome: str, model: str) -> None:
    if not (DATA / "lme4_reference_7b.json").exists():
        pytest.skip("../shared/data is absent: the published pilot is not distributed with the project")
    reference = json.loads((DATA / "lme4_reference_7b.json").read_text())[f"7B_{outcome}_{model}"]
    with (DATA / "llama2_7b_chat_annotated.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    counted = {
        "refused": {"refusal", "harmful refusal"},
        "harmref": {"harmful refusal"},
        "nonans": {"refusal", "harmful refusal", "failure"},
        "notfull": {"refusal", "harmful refusal", "failure", "partial answer", "harmful answer"},
    }[outcome]
    y, group, signal, template = zip(
        *((row["label"] in counted, row["identity"], row["name"], row["og_prompt"]) for row in rows),
        strict=True,
    )
    found = fit_mixed(aggregate(y, group, signal, template), "white", interactions=MODELS[model])
    terms = [term.removeprefix("identity").replace("(Intercept)", "white") for term in reference["terms"]]
    place = [found.groups.index(term) for term in terms]
    beta, se = np.array(reference["beta"]), np.array(reference["se"])
    assert np.abs((found.coefficients[place] - beta) / se).max() < 0.1
    assert found.standard_errors[place] == pytest.approx(se, rel=0.06)
    assert found.log_likelihood >= reference["ll"] - 0.01
    assert found.chi_square == pytest.approx(reference["lrt_chi"], abs=0.1)
    gaps = [found.gaps[term].value for term in terms[1:]]
    assert np.abs((np.array(gaps) - reference["gap"]) / reference["gap_se"]).max() < 0.1
