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
    gaps = {
        row["group"]: row["gap"] for row in detectable_gaps(sizes, templates, samples, plan)["detectable"]
    }
    known = {group: gap for group, gap in gaps.items() if gap is not None}
    found = []
    if known:
        told = ", ".join(f"{group} {100 * gap:.0f}" for group, gap in known.items())
        found.append(
            f"Found four times out of five, in points: {told}, and larger gaps. A smaller one would often be "
            "missed, so a gap that is not found is no sign of equal service."
        )
    once = detectable_gaps(sizes, templates, 1, plan)["detectable_gap"]
    if samples > 1 and known and once is not None:
        found.append(
            f"Asking {samples} times instead of once takes {100 * once:.1f} points to "
            f"{100 * min(known.values()):.1f}; more names and templates would buy more."
        )
    cannot = [group for group in gaps if group not in known]
    if cannot:
        found.append(
            f"No gap of {', '.join(cannot)} can be supported: at least two names a group, the reference "
            "included, and two templates are needed, and more to find anything."
        )
    return found


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
    """Return the smallest gap that the design finds for each group, with the usual power."""
    reference = sizes.get(plan.reference, 0)
    found = [
        {"group": group, "gap": _smallest_gap(names, reference, templates, samples, plan.level)}
        for group, names in sizes.items()
        if group != plan.reference
    ]
    gaps = [each["gap"] for each in found if each["gap"] is not None]
    return {
        "detectable": found,
        "detectable_gap": min(gaps, default=None),
        "detectable_note": (
            f"found in 80 % of studies at a level of {100 * plan.level:g} %, "
            f"if this model varies as in: {PILOT_13B.source}{_other_outcome(plan.primary)}"
            if gaps
            else "a design with fewer than two names a group or two templates can detect nothing"
        ),
    }


def _other_outcome(primary: str) -> str:
    if primary == "refused":
        return ""
    return (
        f"; the variance is that of refusals, and {primary!r} may vary more or less (servicegap plan --from "
        "takes it from a study's own labels)"
    )


def _smallest_gap(names: int, reference: int, templates: int, samples: int, level: float) -> float | None:
    if min(names, reference, templates) < 2:
        return None
    # For groups of two sizes the variance of a gap is that of two groups of their harmonic mean.
    size = statistics.harmonic_mean((names, reference))
    return detectable_gap(PILOT_13B, size, templates, samples, level=level)
