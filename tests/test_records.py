"""Records and identifiers."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicegap.records import (
    CATEGORIES,
    OUTCOMES,
    RETRYABLE,
    Condition,
    Decoding,
    ErrorKind,
    Estimate,
    Response,
    Signal,
    content_hash,
)


def test_hash_is_the_beginning_of_sha256_over_parts_with_their_lengths() -> None:
    assert content_hash("é", "b") == hashlib.sha256("1:é1:b".encode()).hexdigest()[:16]


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_hash_keeps_parts_apart(a: list[str], b: list[str]) -> None:
    assert (content_hash(*a) == content_hash(*b)) == (a == b)


def test_outcomes_are_made_of_the_six_categories() -> None:
    assert CATEGORIES == (
        "answer",
        "partial_answer",
        "failure",
        "refusal",
        "harmful_refusal",
        "harmful_answer",
    )
    assert OUTCOMES["refused"] == {"refusal", "harmful_refusal"}
    assert OUTCOMES["harmful"] == {"harmful_refusal", "harmful_answer"}
    assert OUTCOMES["unserved"] == set(CATEGORIES) - {"answer"}


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Signal("Ana", "A").group = "B"  # type: ignore[misc]


def test_settings_leave_out_the_name_and_take_in_everything_else() -> None:
    plain = Condition("a")
    assert plain.settings == Condition("b").settings
    changed = [
        Condition("a", system="Be brief."),
        Condition("a", prefill="Sure"),
        Condition("a", mode="completion"),
        Condition("a", decoding=Decoding(temperature=1.0)),
        Condition("a", decoding=Decoding(top_p=1.0)),
        Condition("a", decoding=Decoding(top_k=1)),
        Condition("a", decoding=Decoding(min_p=1.0)),
        Condition("a", decoding=Decoding(max_tokens=1)),
        Condition("a", decoding=Decoding(stop=("x",))),
        Condition("a", decoding=Decoding(logprobs=1)),
    ]
    assert len(changed) == len(dataclasses.fields(Condition)) - 2 + len(dataclasses.fields(Decoding))
    assert len({plain.settings, *(condition.settings for condition in changed)}) == 1 + len(changed)


@pytest.mark.parametrize("kind", ["transport", "rate_limit", "malformed"])
def test_a_call_that_a_rerun_can_mend_has_failed(kind: ErrorKind) -> None:
    assert kind in RETRYABLE
    assert dataclasses.replace(RESPONSE, error_kind=kind).failed


@pytest.mark.parametrize("kind", [None, "content_filter", "rejected", "truncated", "empty"])
def test_a_final_outcome_has_not_failed(kind: ErrorKind | None) -> None:
    assert not dataclasses.replace(RESPONSE, error_kind=kind).failed


def test_an_estimate_is_undefined_unless_said_otherwise() -> None:
    estimate = Estimate(kind="gap", outcome="refused", value=None)
    assert {field.name for field in dataclasses.fields(estimate) if getattr(estimate, field.name)} == {
        "kind",
        "outcome",
    }
    assert estimate.p is None
    assert estimate.n_missing is None


RESPONSE = Response(
    id="0" * 16,
    attempt=1,
    prompt="p",
    model="m",
    condition="default",
    settings="s",
    sample=0,
    seed=1,
    text="x",
    finish_reason="stop",
    prompt_tokens=None,
    completion_tokens=None,
    latency=None,
    error_kind=None,
    error=None,
    created="2024-01-01T00:00:00+00:00",
)
