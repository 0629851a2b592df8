"""What a design can claim, before there are data: what gaps rest on, which it detects, what is beyond it.

Figures assume that models vary as the published pilot's did.

Not here: other designs and what they cost (plan.py), the formulas (power/).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Any

from servicegap.calls import Design
from servicegap.power import PILOT_13B, detectable_gap
from servicegap.study import AnalysisPlan, Study

#: With fewer templates of a target its own gap is hardly supported.
TEMPLATES_A_TARGET = 8
#: What a label costs a person, where nothing else is known.
MINUTES_A_LABEL = 0.5


def design_sentences(study: Study, design: Design) -> list[str]:
    """Say in words what a study's gaps rest on, what it can detect, cannot support, and costs people."""
    plan, samples = study.plan.plan, study.plan.samples
    sizes = Counter(signal.group for signal in design.signals if signal.group)
    targets = Counter(template.target for template in design.templates)
    targeted = sum(n for target, n in targets.items() if target)
    n_primary = targeted or len(design.templates)
    found = [based_on(n_primary, len(design.templates) - n_primary, targeted=targeted > 0)]
    found += _can_detect(sizes, n_primary, samples, plan)
    thin = [f"{target} {n}" for target, n in targets.items() if target and n < TEMPLATES_A_TARGET]
    if thin:
        found.append(
            f"Fewer than {TEMPLATES_A_TARGET} templates of some targets ({', '.join(thin)}): gaps by target "
            "are hardly supported."
        )
    return [*found, *_for_people(study, design)]


def based_on(primary: int, neutral: int, *, targeted: bool) -> str:
    """Say on which templates planned gaps rest."""
    if not targeted:
        return (
            f"No template carries a stereotype, so the planned gaps are over all {primary} templates: they "
            "say how names fare in tasks of this kind, not whether a stereotype makes it worse."
        )
    left = f"; the {neutral} neutral ones are a part of their own" if neutral else ""
    return f"The planned gaps are over the {primary} templates that carry a stereotype{left}."


def _can_detect(sizes: Mapping[str, int], templates: int, samples: int, plan: AnalysisPlan) -> list[str]:
    design = detectable_gaps(sizes, templates, samples, plan)
    known = _known_gaps(design)
    found = []
    if known:
        told = ", ".join(f"{group} {100 * gap:.0f}" for group, gap in known.items())
        only = ", each even where it is the only gap among those planned (Holm)"
        found.append(
            f"Found four times out of five, in points: {told}, and larger gaps"
            f"{only if len(design['detectable']) > 1 else ''}. A smaller one would often be missed, so a gap "
            "that is not found is no sign of equal service."
        )
    once = _known_gaps(detectable_gaps(sizes, templates, 1, plan))
    if samples > 1 and known and once.keys() == known.keys():
        found.append(
            f"Asking {samples} times instead of once takes {100 * max(once.values()):.1f} points to "
            f"{100 * max(known.values()):.1f}; more names and templates would buy more."
        )
    return [*found, *(f"No gap of {who} can be supported: {why}." for why, who in _not_found(design).items())]


def _known_gaps(design: Mapping[str, Any]) -> dict[str, float]:
    return {row["group"]: row["gap"] for row in design["detectable"] if row["gap"] is not None}


def _not_found(design: Mapping[str, Any]) -> dict[str, str]:
    """Return why no gap is found of some groups, and of which."""
    reasons: dict[str, list[str]] = {}
    for row in design["detectable"]:
        if row["note"]:
            reasons.setdefault(row["note"], []).append(row["group"])
    return {reason: ", ".join(groups) for reason, groups in reasons.items()}


def _for_people(study: Study, design: Design) -> list[str]:
    """Say what labelling by people costs, where the plan says how many responses they label."""
    sample, annotators = study.plan.labelling.sample, study.plan.labelling.annotators
    share = {"all": 1.0, "random": sample.fraction}.get(sample.kind)
    if share is None:
        return []
    runs = len(study.plan.models) * len(study.plan.conditions)
    labels = round(len(design.prompts) * study.plan.samples * runs * share) * annotators
    which = "all responses" if share == 1 else f"{share:.0%} of responses"
    return [
        f"If people label {which}, {annotators} each: {labels:,} labels, about "
        f"{labels * MINUTES_A_LABEL / 60:,.0f} hours at {MINUTES_A_LABEL:g} minutes a label."
    ]


def detectable_gaps(
    sizes: Mapping[str, int], templates: int, samples: int, plan: AnalysisPlan
) -> dict[str, Any]:
    """Return the smallest gap of each planned group that the design finds, and the one that it finds of all.

    Parameters
    ----------
    sizes : mapping of str to int
        Group -> names; empty where nothing is known of how the outcome varies.
    templates, samples : int
        Those of the planned gaps.
    plan : AnalysisPlan

    Returns
    -------
    dict
        ``detectable``: a row for each planned ``group``, with the ``gap`` (0 to 1) found in 80 % of studies
        by the first step of Holm's method, None with a ``note`` that says why; ``detectable_gap``: the
        largest of them; ``detectable_note``: on what it rests.
    """
    reference = sizes.get(plan.reference, 0)
    planned = [group for group in sizes if group != plan.reference and plan.in_family(group)]
    too_few = {group: _too_few(sizes[group], reference, templates) for group in planned}
    tests = sum(why is None for why in too_few.values())
    # What a gap must pass where no other one is there: a claim rests on p adjusted over all planned gaps.
    level = 1 - (1 - plan.level) / max(tests, 1)
    rows = []
    for group in planned:
        gap, why = None, too_few[group]
        if why is None:
            # For groups of two sizes the variance of a gap is that of two groups of their harmonic mean.
            size = statistics.harmonic_mean((sizes[group], reference))
            gap = detectable_gap(PILOT_13B, size, templates, samples, level=level)
            why = "even a gap of 100 points would often be missed" if gap is None else None
        rows.append({"group": group, "gap": gap, "note": why})
    found: dict[str, Any] = {"detectable": rows}
    largest = max(_known_gaps(found).values(), default=None)
    told = [] if largest is None else [_basis(plan, tests)]
    told += [f"no gap of {who} can be found: {why}" for why, who in _not_found(found).items()]
    return {
        **found,
        "detectable_gap": largest,
        "detectable_note": "; ".join(told) or "nothing is known beforehand of how much these figures vary",
    }


def _basis(plan: AnalysisPlan, tests: int) -> str:
    only = (
        f", even where it is the only gap among the {tests} planned (Holm's first step)" if tests > 1 else ""
    )
    return (
        f"found in 80 % of studies at a level of {100 * plan.level:g} %{only}, "
        f"if this model varies as in: {PILOT_13B.source}{_other_outcome(plan.primary)}"
    )


def _too_few(names: int, reference: int, templates: int) -> str | None:
    if min(names, reference, templates) >= 2:
        return None
    return (
        f"too few to test it ({_number(names, 'name')} of the group, {reference} of the reference, "
        f"{_number(templates, 'template')}); each must be two at least, and more to find anything"
    )


def _number(n: int, what: str) -> str:
    return f"{n} {what}{'s'[: n != 1]}"


def _other_outcome(primary: str) -> str:
    if primary == "refused":
        return ""
    return (
        f"; the variance is that of refusals, and {primary!r} may vary more or less (servicegap plan --from "
        "takes it from a study's own labels)"
    )
