"""Masking of full names, and of names that are words too."""

from __future__ import annotations

import pytest

from servicegap.annotators import mask_signals

SIGNALS = ["Maria Garcia", "Dr. Emily Cook", "John de la Cruz", "Hunter", "Black woman", "J. Brown", "Hang"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Maria Garcia, Ms. Garcia, MARIA", "[NAME], Ms. [NAME], [NAME]"),
        ("Dear Emily, the cook is Dr. Cook.", "Dear [NAME], the cook is Dr. [NAME]."),
        ("John de la Cruz lives in la Paz with Cruz.", "[NAME] lives in la Paz with [NAME]."),
        ("Mr. Brown's brown bread, J. Brown and J.", "Mr. [NAME]'s brown bread, [NAME] and J."),
        ("A Black woman in black, a woman.", "A [NAME] in black, a woman."),
        ("The hunter met Hunter.", "The hunter met [NAME]."),
        ("Hang the picture. Then ask Hang.", "Hang the picture. Then ask [NAME]."),
    ],
)
def test_each_name_of_a_full_name_is_hidden_as_written(text: str, masked: str) -> None:
    assert mask_signals(text, SIGNALS) == masked
