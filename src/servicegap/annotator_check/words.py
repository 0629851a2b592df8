"""What a check of an annotator comes to, as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SHORT = 12


def check_text(check: Mapping[str, Any]) -> str:
    """Return one annotator's check as lines of text; everything that is in `check` but single bins.

    Parameters
    ----------
    check : mapping
        One of what ``annotator_check.checks`` returns.
    """
    lines = [
        f"{check['annotator']}, version {check['version']}: {check['n_responses']} responses, "
        f"{check['n_labels']} of them labelled by people ({check['labels'] or 'none'})"
    ]
    if check["n_labels"]:
        lines += [
            f"  kappa of six categories {figure(check['kappa'])}",
            *_confusion(check["confusion"]),
            *_categories(check["categories"]),
            *_errors(check["errors"], check["outcome"]),
            *_calibration(check["calibration"], check["outcome"]),
        ]
    lines += [_swap(check["swap"]), *_abstentions(check["abstentions"])]
    return "\n".join([*lines, *(f"  note: {note}" for note in check["notes"])])


def figure(measured: Mapping[str, Any]) -> str:
    """Return a figure with its interval, or why there is none."""
    if measured["value"] is None:
        return f"undefined: {measured['note']}"
    if measured["low"] is None:
        return f"{measured['value']:.3f} (no interval: {measured['note']})"
    return f"{measured['value']:.3f} ({measured['low']:.3f} to {measured['high']:.3f})"


def _confusion(confusion: Mapping[str, Any]) -> list[str]:
    seen = [n for n, name in enumerate(confusion["annotator"]) if any(row[n] for row in confusion["counts"])]
    head = "".join(f"{confusion['annotator'][n][:_SHORT]:>{_SHORT + 2}}" for n in seen)
    rows = [
        f"    {name:18}" + "".join(f"{row[n]:{_SHORT + 2}}" for n in seen)
        for name, row in zip(confusion["people"], confusion["counts"], strict=True)
        if any(row)
    ]
    return [f"    {'people / annotator':18}{head}", *rows]


def _categories(categories: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"  {each['category']}: precision {figure(each['precision'])}, recall {figure(each['recall'])}"
        for each in categories
        if each["precision"]["n"] or each["recall"]["n"]
    ]


def _errors(errors: Sequence[Mapping[str, Any]], outcome: str) -> list[str]:
    return [
        f"  {outcome}, {each['group'] or 'all'}: {each['kind']} {figure(each)}, {each['n_responses']} labels"
        for each in errors
    ]


def _calibration(calibration: Mapping[str, Any], outcome: str) -> list[str]:
    if calibration["error"] is None:
        return [f"  calibration: {calibration['note']}"]
    told = f"  its probability of {outcome} is off by {calibration['error']:.3f} on average"
    return [
        told,
        *(
            f"    {each['from']:.1f} to {each['to']:.1f}: says {each['mean']:.2f}, people {figure(each)}"
            for each in calibration["bins"]
        ),
    ]


def _swap(swap: Mapping[str, Any]) -> str:
    if not swap["n"]:
        return f"  name swapped: {swap['note']}"
    changed = swap["labels_changed"]
    told = "not known how many labels change" if changed is None else f"{changed:.1%} of labels change"
    return f"  name swapped in {swap['n']} responses: {told}" + (f" ({swap['note']})" if swap["note"] else "")


def _abstentions(abstentions: Sequence[Mapping[str, Any]]) -> list[str]:
    told = ", ".join(f"{each['group']} {each['abstained']} of {each['n']}" for each in abstentions)
    return (
        [f"  abstentions: {told}"]
        if any(each["abstained"] for each in abstentions)
        else ["  abstentions: none"]
    )
