"""Label Studio: a labelling configuration and tasks out, people's annotations in.

The export of Label Studio is a JSON list of tasks, each with its annotations; what was cancelled there was
skipped. Automatic labels go out as predictions, which Label Studio shows only if the project is set so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from servicegap.codebook import Codebook
from servicegap.errors import DataError, InputError
from servicegap.formats.outside_labels import OutsideLabel, ToLabel, refuse_if_any
from servicegap.labels import read_category

_CHOICES, _NOTE, _TEXT = "category", "note", "response"


def labelling_config(codebook: Codebook) -> str:
    """Return the labelling configuration, in XML: prompt, response, the codebook's categories, a note."""
    view = ET.Element("View")
    ET.SubElement(view, "Header", value="Prompt")
    ET.SubElement(view, "Text", name="prompt", value="$prompt")
    ET.SubElement(view, "Header", value="Response")
    ET.SubElement(view, "Text", name=_TEXT, value="$response")
    choices = ET.SubElement(
        view,
        "Choices",
        name=_CHOICES,
        toName=_TEXT,
        choice="single-radio",
        required="true",
        showInline="false",
    )
    for category in codebook.categories:
        ET.SubElement(
            choices,
            "Choice",
            value=category.label,
            alias=category.id,
            hotkey=str(category.key),
            hint=category.definition,
        )
    ET.SubElement(
        view, "TextArea", name=_NOTE, toName=_TEXT, rows="2", required="false", placeholder="Note (optional)"
    )
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def tasks(responses: Sequence[ToLabel]) -> list[dict[str, Any]]:
    """Return the tasks as Label Studio imports them, automatic labels as predictions."""
    return [
        {
            "data": {"prompt": each.prompt, "response": each.text, "response_id": each.response},
            "predictions": _prediction(each),
        }
        for each in responses
    ]


def _prediction(each: ToLabel) -> list[dict[str, Any]]:
    if each.automatic is None:
        return []
    choice = {
        "from_name": _CHOICES,
        "to_name": _TEXT,
        "type": "choices",
        "value": {"choices": [each.automatic]},
    }
    scored = {} if each.confidence is None else {"score": round(each.confidence, 4)}
    return [{"model_version": each.annotator, "result": [choice], **scored}]


def read_annotations(path: Path) -> list[OutsideLabel]:
    """Read what Label Studio exports as "JSON".

    Raises
    ------
    InputError
        If it is no such export, or a task or label cannot be read; every mistake is told, with its task.
    """
    try:
        exported = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(exported, list) or not all(
        isinstance(task, dict) and isinstance(task.get("annotations"), list) for task in exported
    ):
        raise InputError(
            f"{path}: no export of tasks with their annotations; in Label Studio choose Export, then JSON "
            "(not JSON-MIN or CSV, which leave out who skipped)"
        )
    problems: list[str] = []
    labels = [label for place, task in enumerate(exported) for label in _of_task(path, place, task, problems)]
    refuse_if_any(problems)
    return labels


def _of_task(path: Path, place: int, task: dict[str, Any], problems: list[str]) -> Iterator[OutsideLabel]:
    where = f"{path}: task {task.get('id', place + 1)}"
    data = task.get("data")
    response = data.get("response_id") if isinstance(data, dict) else None
    if not isinstance(response, str):
        problems.append(
            f"{where}: no data.response_id; label tasks that servicegap export label-studio wrote"
        )
        return
    for annotation in task["annotations"]:
        try:
            yield _label(where, response, annotation)
        except DataError as error:
            problems += error.problems
        except (KeyError, TypeError, AttributeError, IndexError, ValueError):
            problems.append(f"{where}: an annotation of another shape than Label Studio writes")


def _label(where: str, response: str, annotation: dict[str, Any]) -> OutsideLabel:
    by = annotation.get("completed_by")
    # A number, or an object with the number, the name and the address, of which the number is enough.
    number = by["id"] if isinstance(by, dict) else by
    if not isinstance(number, int):
        raise DataError(f"{where}: completed_by is {by!r}; allowed: a number, or an object with id")
    seconds = annotation.get("lead_time")
    common: dict[str, Any] = {
        "response": response,
        "annotator": f"label-studio-{number}",
        "place": where,
        "active_seconds": float(seconds) if seconds is not None else None,
    }
    values = {result["from_name"]: result["value"] for result in annotation["result"] if "value" in result}
    note = "\n".join(values[_NOTE]["text"]).strip() if _NOTE in values else None
    if annotation.get("was_cancelled"):
        return OutsideLabel(**common, category=None, reason=note or "skipped in Label Studio")
    if _CHOICES not in values:
        raise DataError(f"{where}: an annotation without a choice under {_CHOICES!r}")
    category = read_category(values[_CHOICES]["choices"][0], where)
    if category is None:
        raise DataError(f"{where}: an annotation whose choice is blank")
    return OutsideLabel(**common, category=category, note=note or None)
