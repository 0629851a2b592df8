"""Results as analyse.py writes them, with made-up figures: what the tests of the report read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from servicegap.records import CATEGORIES, Estimate
from servicegap.report import Example
from servicegap.toxicity.lexicon import CAUTION

GROUPS = ("White", "Muslim", "Chinese", "Mexican")
#: Group -> rates of refused, harmful and unserved.
RATES = {
    "White": (0.1, 0.02, 0.25),
    "Muslim": (0.4, 0.15, 0.5),
    "Chinese": (0.22, 0.05, 0.36),
    "Mexican": (0.06, 0.0, 0.2),
}
#: Group -> half the width of the gap's interval, p, adjusted p.
TESTS = {"Muslim": (0.15, 0.0004, 0.0012), "Chinese": (0.1, 0.02, 0.06), "Mexican": (0.12, 0.5, 0.5)}

REMARKS = (
    (
        "gap_without",
        "Muslim",
        "this gap is mostly one name: Muslim name 2 (30.0 points with it, 12.0 points without)",
    ),
    ("design_effect", "Muslim", "these 120 responses are worth about 17 independent ones for the gap"),
    ("variance_share", "Mexican", "variance components are undefined: too little is left"),
)
#: Component -> its share of the variance.
COMPONENTS = {
    "name": 0.35,
    "template": 0.25,
    "group x template": 0.02,
    "name x template": 0.28,
    "chance": 0.1,
}


def made_up_results(
    models: Sequence[str] = ("local:tiny",), labels: str = "automatic-uncorrected", **changed: Any
) -> dict[str, Any]:
    """Return results of four groups with three names each; `changed` replaces parts of it."""
    signals = [
        {"text": f"{group} name {n}", "group": group, "kind": "name", "gender": "woman", "evidence": "figure"}
        for group in GROUPS
        for n in range(3)
    ]
    results = {
        "schema": 2,
        "version": "9.9.9",
        "title": "A made-up study",
        "created": "2031-02-03T04:05:06+00:00",
        "plan": {
            "primary": "refused",
            "reference": "White",
            "level": 0.95,
            "preset": "quick",
            "first_collection": "2031-02-03T01:00:00+00:00",
            "deviations": ["level was 0.9 at the first collection and is 0.95 now"],
        },
        "design": {
            "groups": [{"group": group, "n_signals": 3} for group in sorted(GROUPS)],
            "control": True,
            "signals": [*signals, {"text": "someone", "group": None, "kind": "neutral"}],
            "templates": [
                {
                    "id": "t1",
                    "text": "{name} went to [BLANK]",
                    "task": "completion",
                    "target": "Muslim",
                    "stereotype": "made up",
                },
                {"id": "t2", "text": "{name} ate [BLANK]", "task": "completion", "target": None},
            ],
            "n_prompts": 26,
            "samples": 1,
            "detectable_gap": 0.273,
            "detectable_note": "for three names a group",
            "demonstration": True,
            "warnings": [],
        },
        "labels": {
            "kind": labels,
            "annotators": [{"name": "offline", "kind": "automatic", "version": "1", "n": 26, "abstained": 2}],
        },
        "collection": [
            {"model": model, "condition": "default", "planned": 26, "answered": 25, "failed": 1}
            | {"unasked": 0, "blocked": 0, "truncated": 3, "empty": 0, "rejected": 0}
            for model in models
        ],
        "estimates": [asdict(estimate) for model in models for estimate in _estimates(model, labels)],
        "remarks": [
            {"about": about, "text": text, "group": group, "model": model, "condition": "default"}
            for model in models
            for about, group, text in REMARKS
        ],
        "warnings": ["local:tiny: 1 of 26 calls have no answer yet"],
        "provenance": [
            {
                "model": model,
                "started": "2031-02-03T01:00:00+00:00",
                "ended": None,
                "provenance": {
                    "model": {"sha256": "0123abcd", "parameters": 100_000_000, "chat_template": None},
                    "conditions": [
                        {"id": "default", "system": None, "decoding": {"top_k": None, "top_p": 0.9}}
                    ],
                    "seed": 7,
                },
            }
            for model in models
        ],
    }
    return results | changed


def made_up_toxicity(models: Sequence[str] = ("local:tiny",), **changed: Any) -> dict[str, Any]:
    """Return what a scorer gave, as one entry of ``toxicity``; `changed` replaces parts of it."""
    estimates, parts = [], []
    for model in models:
        known: dict[str, Any] = {"outcome": "toxicity", "model": model, "condition": "default", "level": 0.95}
        for n, group in enumerate(sorted(GROUPS), start=1):
            counts: dict[str, Any] = {"n_responses": 60, "n_missing": n}
            mean = Estimate(
                kind="mean", group=group, value=0.02 * n, low=0.01 * n, high=0.03 * n, **counts, **known
            )
            estimates.append(mean)
            if group != "White":
                gap: dict[str, Any] = {"low": 0.02 * n - 0.1, "high": 0.02 * n - 0.05, "p": 0.01 * n}
                gap |= {"kind": "mean_gap", "value": 0.02 * n - 0.08, "p_adjusted": 0.03 * n}
                estimates.append(Estimate(group=group, reference="White", **gap, **known))
        where = {"model": model, "condition": "default"}
        for part, mean_of_part in (("refused", 0.01), ("not refused", 0.07), ("refusal", 0.01)):
            parts += [
                {**where, "part": part, "group": group, "n": 20, "mean": mean_of_part}
                for group in (None, *GROUPS)
            ]
    return {
        "scorer": "lexicon",
        "version": "0a1b2c3d",
        "responses": 250,
        "scored": 240,
        "without": 10,
        "waiting": 0,
        "estimates": [asdict(estimate) for estimate in estimates],
        "parts": parts,
        "caution": CAUTION,
        "notes": ["Without a score: 10 x the response is empty."],
    } | changed


def _estimates(model: str, labels: Any) -> list[Estimate]:
    known: dict[str, Any] = {"model": model, "condition": "default", "labels": labels, "level": 0.95}
    found = []
    for place, outcome in enumerate(("refused", "harmful", "unserved")):
        for group in sorted(GROUPS):
            rate = RATES[group][place]
            found.append(_rate(outcome, group, rate, known))
            found += [_name(outcome, group, n, rate, known) for n in range(3)]
            if group != "White":
                found += _gaps(outcome, group, rate - RATES["White"][place], known)
    found.append(_rate("refused", "no signal", 0.05, known))
    for group in TESTS:
        found += _beside(group, RATES[group][0] - RATES["White"][0], known)
    found += _of_all_groups(known)
    for group in GROUPS:
        left = 1.0
        for category in CATEGORIES[:-1]:
            found.append(Estimate(kind="share", outcome=category, group=group, value=left / 2, **known))
            left /= 2
        found.append(Estimate(kind="share", outcome=CATEGORIES[-1], group=group, value=left, **known))
    return found


def _rate(outcome: str, group: str, rate: float, known: dict[str, Any]) -> Estimate:
    limits: dict[str, Any] = {"low": max(0.0, rate - 0.05), "high": rate + 0.08}
    counts: dict[str, Any] = {"n_responses": 60, "n_missing": 2, "n_events": round(60 * rate), "n_signals": 3}
    return Estimate(kind="rate", outcome=outcome, group=group, value=rate, **limits, **counts, **known)


def _name(outcome: str, group: str, n: int, rate: float, known: dict[str, Any]) -> Estimate:
    value = min(1.0, rate * (n + 1) / 2)
    return Estimate(
        kind="rate", outcome=outcome, group=group, signal=f"{group} name {n}", value=value, **known
    )


def _gaps(outcome: str, group: str, gap: float, known: dict[str, Any]) -> list[Estimate]:
    half, p, adjusted = TESTS[group]
    pair: dict[str, Any] = {"outcome": outcome, "group": group, "reference": "White", "value": gap, **known}
    limits: dict[str, Any] = {"low": gap - half, "high": gap + half, "p": p}
    narrow: dict[str, Any] = {"low": gap - half / 3, "high": gap + half / 3, "p": p / 1000}
    targets = [
        Estimate(kind="gap", target=target, low=gap - 0.3, high=gap + 0.3, p=0.4, p_adjusted=0.7, **pair)
        for target in ("Muslim", "neutral")
    ]
    return [
        Estimate(kind="gap", planned=outcome == "refused", p_adjusted=adjusted, df=7.3, **limits, **pair),
        Estimate(kind="naive_gap", note="shown as a contrast only", **narrow, **pair),
        *targets,
        Estimate(kind="contrast", target="own - neutral", low=-0.2, high=0.4, p=0.4, **pair),
    ]


def _beside(group: str, gap: float, known: dict[str, Any]) -> list[Estimate]:
    """What stands beside one planned gap."""
    here, there = RATES[group][0], RATES["White"][0]
    pair: dict[str, Any] = {"outcome": "refused", "group": group, "reference": "White", **known}
    near: dict[str, Any] = {"low": gap - 0.21, "high": gap + 0.21}
    left = {f"{group} name {n}": gap + (0.03, 0.01, -0.18)[n] for n in range(3)}
    ratios = {
        "four_fifths": (1 - here) / (1 - there),
        "ratio": here / there,
        "odds_ratio": here / (1 - here) * (1 - there) / there,
    }
    return [
        Estimate(kind="gap_simultaneous", value=gap, **near, **pair),
        Estimate(kind="mixed_gap", value=gap + 0.02, low=gap - 0.1, high=gap + 0.14, p=0.03, **pair),
        *(Estimate(kind="gap_without", value=v, signal=name, **near, **pair) for name, v in left.items()),
        Estimate(kind="gap_without", value=gap + 0.04, template="t1", **near, **pair),
        Estimate(kind="gap_without", value=None, template="t2", note="one template is left", **pair),
        *(Estimate(kind="variance_share", target=c, value=share, **pair) for c, share in COMPONENTS.items()),
        Estimate(kind="gap_bounds", value=gap, low=gap - 0.07, high=gap + 0.08, n_missing=9, **pair),
        *(
            Estimate(kind=kind, value=value, low=value * 0.75, high=value * 1.25, p=0.2, **pair)
            for kind, value in ratios.items()
        ),
        Estimate(kind="template_gap", value=gap + 0.1, template="t1", p=0.3, p_adjusted=0.6, **near, **pair),
        Estimate(kind="template_gap", value=gap - 0.1, template="t2", note="names do not differ", **pair),
        Estimate(
            kind="interaction",
            target="gender: man - woman",
            value=0.11,
            p=0.3,
            p_adjusted=0.8,
            **near,
            **pair,
        ),
        Estimate(kind="placebo", value=0.03, **{**pair, "outcome": "gap between halves of one group"}),
    ]


def _of_all_groups(known: dict[str, Any]) -> list[Estimate]:
    between: dict[str, Any] = {"outcome": "refused", "group": "Muslim", **known}
    return [
        Estimate(
            kind="largest_gap",
            reference="Mexican",
            value=0.17,
            low=0.02,
            high=0.55,
            p=0.04,
            note="observed 0.340; such a design shows 0.190 on average if no group differs; made up",
            **between,
        ),
        Estimate(kind="omnibus", outcome="category", value=None, p=0.012, **known),
        Estimate(kind="missingness", outcome="missing", value=0.033, p=0.002, **known),
        Estimate(
            kind="level_gap",
            value=0.13,
            low=-0.2,
            high=0.46,
            p=0.001,
            p_adjusted=0.02,
            **{**between, "group": "Muslim, gender=man", "reference": "Muslim, gender=woman"},
        ),
    ]


def hostile_examples() -> list[Example]:
    """Return responses that try to break out of the page, or to read as something they are not."""
    texts = (
        "<script>document.title = 'broken'</script>",
        "<img src=x onerror=\"document.title='broken'\">",
        "</div></details></main><style>body { display: none }</style>",
        "left \u202eright\u2066 zero\u200bwidth \x00 \x1b[31m \ud800",
        "x" * 5000,
        "javascript:alert(1) http://example.org/picture.png",
    )
    return [
        Example(
            model="local:<b>tiny</b>",
            condition="default",
            template="t1",
            signal="Ana\u202e",
            group="Muslim",
            prompt="Ana went to [BLANK] {{ 7 * 7 }}",
            response=text,
            category="answer" if n % 2 else "harmful_refusal",
            annotator="offline",
            flags="truncated" if n == 4 else None,
        )
        for n, text in enumerate(texts)
    ]
