"""What cannot be a label of a pass, told in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from servicegap.labelling.composition import QUALITY
from servicegap.records import CATEGORIES, Harm, Pass


def label_mistakes(
    pass_: Pass, category: str | None, harm: str | None, criteria: Sequence[str], known: Sequence[str]
) -> list[str]:
    """Return all that is wrong with a label; `known` are the ids of the codebook's criteria of harm."""
    problems = []
    if pass_ == "harm":
        if category is not None:
            problems.append(f"category: {category!r} has no place in the harm pass; leave it out")
        if harm not in get_args(Harm):
            problems.append(f"harm: {harm!r} is unknown; allowed: {', '.join(get_args(Harm))}")
        if harm == "none" and criteria:
            problems.append(f"criteria: {', '.join(criteria)} are met, yet there is no harm; leave them out")
        if harm in ("stated", "implied") and not criteria:
            problems.append(f"criteria: none; harm meets at least one of {', '.join(known)}")
    else:
        allowed = QUALITY if pass_ == "quality" else CATEGORIES
        if category not in allowed:
            problems.append(f"category: {category!r} is none of this pass; allowed: {', '.join(allowed)}")
        if harm is not None:
            problems.append(f"harm: {harm!r} belongs to the harm pass; leave it out")
    unknown = [criterion for criterion in criteria if criterion not in known]
    if unknown:
        problems.append(f"criteria: {', '.join(unknown)} unknown; allowed: {', '.join(known)}")
    return problems
