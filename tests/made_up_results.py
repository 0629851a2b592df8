"""Results as analyse.py writes them, with made-up figures: what the tests of the report read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from servicegap.records import CATEGORIES, Estimate
from servicegap.report import Example

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
        "schema": 1,
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
