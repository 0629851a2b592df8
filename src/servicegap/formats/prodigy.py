"""Prodigy: tasks with a choice out, annotated tasks in, both one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from servicegap.codebook import Codebook
from servicegap.errors import DataError, InputError
from servicegap.formats.outside_labels import OutsideLabel, ToLabel, refuse_if_any
from servicegap.labels import read_category

#: Where Prodigy says who annotated, the first that is there.
_WHO = ("_annotator_id", "_session_id")


def tasks(responses: Sequence[ToLabel], codebook: Codebook) -> list[dict[str, Any]]:
    """Return the tasks, for an interface of Prodigy with one choice."""
    options = [{"id": category.id, "text": category.label} for category in codebook.categories]
    return [
        {
            "text": f"{each.prompt}\n\n{each.text}",
            "options": options,
            "meta": {"response_id": each.response},
            **({} if each.automatic is None else {"accept": [each.automatic]}),
        }
        for each in responses
    ]


def read_annotations(path: Path) -> list[OutsideLabel]:
    """Read annotated tasks: ``answer`` accept, reject or ignore, and the chosen option in ``accept``.

    Raises
    ------
    InputError
        If the file or a line of it cannot be read; every mistake is told, with its line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    problems: list[str] = []
    labels = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            labels.append(_label(f"{path}:{number}", json.loads(line)))
        except DataError as error:
            problems += error.problems
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            problems.append(
                f"{path}:{number}: no annotated task of Prodigy (one JSON object a line, with answer, accept "
                "and meta.response_id)"
            )
    refuse_if_any(problems)
    return labels


def _label(place: str, task: dict[str, Any]) -> OutsideLabel:
    response, answer = task["meta"]["response_id"], task["answer"]
    who = next((str(task[name]) for name in _WHO if task.get(name)), None)
    if who is None:
        raise DataError(
            f"{place}: nobody is named under {' or '.join(_WHO)}; run Prodigy with named sessions"
        )
    if answer in ("reject", "ignore"):
        return OutsideLabel(response, who, None, place, reason=f"{answer} in Prodigy")
    chosen = task["accept"]
    if len(chosen) != 1:
        raise DataError(f"{place}: {len(chosen)} options are chosen; allowed: one")
    return OutsideLabel(response, who, read_category(chosen[0], place), place)
