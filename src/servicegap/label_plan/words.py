"""A plan of labels in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from servicegap.label_plan import GapOutlook, LabelPlan

_SHOWN = 12


def plan_sentences(plan: LabelPlan) -> Iterator[str]:
    """Yield what a plan of labels says: what the labels bring, how many the target takes, from where."""
    yield (
        f"{plan.labels} more labels ({plan.unlabelled} responses are not labelled), to correct the scores "
        f"of {plan.annotator}; half-widths of {plan.level:.0%} intervals of the gaps of {plan.outcome}, in "
        "points:"
    )
    for gap in plan.gaps:
        now = "no interval yet" if gap.now is None else f"± {100 * gap.now:.1f} now"
        yield (
            f"  {_name(gap)}: {now}, about ± {100 * gap.planned:.1f} after them, ± {100 * gap.least:.1f} "
            "with every response labelled"
        )
    if plan.width is not None:
        yield _target(plan)
    yield "Labels by run, group, automatic label, and whether it is sure (score outside 0.1 to 0.9):"
    for stratum in plan.strata[:_SHOWN]:
        yield (
            f"  {stratum.stratum}: about {stratum.expected:.0f} of {stratum.responses - stratum.labelled}, "
            f"chance {stratum.chance:.3f}"
        )
    rest = plan.strata[_SHOWN:]
    if rest:
        yield f"  {len(rest)} more strata: about {sum(stratum.expected for stratum in rest):.0f} together"


def _target(plan: LabelPlan) -> str:
    width = 100 * (plan.width or 0.0)
    if plan.needed is not None:
        return f"± {width:.1f} for every planned gap takes about {plan.needed} more labels."
    worst = max(plan.gaps, key=lambda gap: gap.least)
    return (
        f"No number of labels reaches ± {width:.1f}: names and templates alone leave {_name(worst)} "
        f"± {100 * worst.least:.1f}. More names and more templates would; see: servicegap plan"
    )


def _name(gap: GapOutlook) -> str:
    return f"{gap.model}, {gap.condition}, {gap.group}"
