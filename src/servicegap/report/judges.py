"""The models that judged: what each was told, how it was asked, and how often it abstained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from servicegap.notation import count
from servicegap.report.passage import Table
from servicegap.report.reading import Results

_NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Told:
    """What a judge was told, word by word."""

    judge: str
    version: str
    instructions: str


def judges_told(results: Results) -> Sequence[Told]:
    """Return what each judge was told."""
    return [
        Told(str(judge["annotator"]), str(judge["version"]), str(judge["instructions"]))
        for judge in _judges(results)
        if judge.get("instructions")
    ]


def judges_table(results: Results) -> Table | None:
    """Return how each judge was asked, None where there was none."""
    body = [_row(results, judge) for judge in _judges(results)]
    if not body:
        return None
    head = ["Model", "Named by its server", "Version", "Samples", "Temperature", "Judged", "Abstained"]
    return Table("Models that judged", head, body)


def _judges(results: Results) -> Sequence[Mapping[str, Any]]:
    return results.part("labels").get("judges") or ()


def _row(results: Results, judge: Mapping[str, Any]) -> list[str]:
    plan = judge.get("plan") or {}
    temperature = plan.get("temperature")
    served = dict.fromkeys(
        name for run in judge.get("runs") or () for name in run.get("served_models") or () if name
    )
    return [
        str(plan.get("id") or judge["annotator"]),
        ", ".join(served) or _NOT_KNOWN,
        str(judge["version"]),
        count(plan.get("samples")),
        "not sent" if temperature is None else f"{temperature:g}",
        *_counts(results, judge),
    ]


def _counts(results: Results, judge: Mapping[str, Any]) -> list[str]:
    """Return how many responses a judge judged, and how often it abstained, where that is of this version."""
    wanted = (judge["annotator"], judge["version"])
    for check in results.rows("annotator_check"):
        if (check["annotator"], check["version"]) == wanted:
            return [count(sum(each[key] for each in check["abstentions"])) for key in ("n", "abstained")]
    return [_NOT_KNOWN, _NOT_KNOWN]
