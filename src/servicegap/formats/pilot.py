"""The published pilot of Chehbouni et al. (2024) as a study: one CSV file, one label a row.

The file holds templates, names, three generations a prompt, and one consensus label for each. The study
made from it has its own signals.csv and templates.yaml, so that the same prompts can be put to any model.
Not here: the analysis; an imported study is analysed like any other.
"""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from servicegap.calls import planned_calls
from servicegap.design import build_design, save_design
from servicegap.errors import DataError, InputError, StudyError
from servicegap.labels import read_category
from servicegap.presets import SYSTEM_PROMPT
from servicegap.records import Annotation, Category, Response
from servicegap.store import write_annotations, write_responses
from servicegap.study import PLAN_FILE, PLAN_VERSION, Study, now, open_study

ANNOTATOR = "pilot"
SOURCE = "Chehbouni et al. 2024, arXiv 2403.13213"

#: Mistakes shown of one file; a damaged quote can make one of every row.
SHOWN = 20

#: How the file writes groups (of names, and of templates), and how servicegap does.
GROUPS = {"white": "White", "black": "Black", "muslim": "Muslim", "mexican": "Mexican", "chinese": "Chinese"}
GROUPS |= {"asian": "Asian"}
TARGETS = {f"{written}s": group for written, group in GROUPS.items()} | {"women": "women"}
_COLUMNS = (
    "og_prompt",
    "ethnicity",
    "name",
    "type_name",
    "identity",
    "common",
    "prompt_sentence",
    "model",
    "variable",
    "label",
    "g1",
    "g2",
    "g3",
)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    template: str
    target: str
    name: str
    gender: str | None
    group: str
    commonness: str
    model: str
    sample: int
    raw: str
    text: str
    category: Category | None


def import_pilot(file: Path, folder: Path) -> Study:
    """Make a study of the pilot's file.

    Parameters
    ----------
    file : Path
        CSV with the columns ``og_prompt, ethnicity, name, type_name, identity, common, prompt_sentence,
        model, variable, label, g1, g2, g3``; ``variable`` is ``label k`` where the label is of ``gk``.
    folder : Path
        The study's folder; made whole or not at all.

    Raises
    ------
    StudyError
        If the folder holds something already.
    InputError
        With the mistakes of the file, each with its line.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError(f"{folder}: there already; choose a new folder for the imported study")
    rows = _read(file)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write_plan(draft, rows)
        _fill(open_study(draft), rows)
        if folder.exists():
            folder.rmdir()
        draft.chmod(0o755)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return open_study(folder)


def _read(file: Path) -> list[_Row]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as UTF-8 text: {error}") from error
    # Strict: a quote that is never closed is told, wherever the file ends.
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{file}:1: columns missing: {', '.join(missing)}; is this the pilot's file?")
    rows: list[_Row] = []
    problems: list[str] = []
    line = reader.line_num + 1
    try:
        for fields in reader:
            try:
                rows.append(_row(fields, file, line))
            except DataError as error:
                problems += error.problems
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(f"{file}:{line}: not CSV from here on ({error}); is a quote missing?")
    if not rows and not problems:
        problems.append(f"{file}: no rows below the header")
    problems += _contradictions(rows, file)
    if problems:
        more = [f"{file}: and {len(problems) - SHOWN} more mistakes"] if len(problems) > SHOWN else []
        raise InputError(*problems[:SHOWN], *more)
    return rows


def _contradictions(rows: Sequence[_Row], file: Path) -> Iterator[str]:
    """Yield where a name or a template changes what it is, or a response is there twice."""
    facts: dict[tuple[str, str], tuple[tuple[str | None, ...], int]] = {}
    seen: dict[tuple[str, str, str, int], int] = {}
    for row in rows:
        for what, key, now_said in (
            ("name", row.name, (row.group, row.gender, row.commonness)),
            ("template", row.template, (row.target,)),
        ):
            said, line = facts.setdefault((what, key), (now_said, row.line))
            if said != now_said:
                here, there = (", ".join(map(str, each)) for each in (now_said, said))
                yield f"{file}:{row.line}: {what} {key!r} is {here}, on line {line} it is {there}; mend one"
        earlier = seen.setdefault((row.model, row.template, row.name, row.sample), row.line)
        if earlier != row.line:
            yield (
                f"{file}:{row.line}: {row.template!r} with {row.name!r}: generation {row.sample + 1} is on "
                f"line {earlier} already; keep one of them"
            )


def _row(fields: Mapping[str, str | None], file: Path, line: int) -> _Row:
    place = f"{file}:{line}"
    problems = []

    def take(column: str, allowed: Mapping[str, str] | None = None) -> str:
        value = fields[column]
        if value is None or not value.strip():
            problems.append(f"{place}: {column} is empty")
        elif allowed is None:
            return value
        elif value in allowed:
            return allowed[value]
        else:
            problems.append(f"{place}: {column} {value!r} is unknown; allowed: {', '.join(allowed)}")
        return ""

    if None in fields:
        problems.append(f"{place}: more fields than the header has; is a quote missing?")
    variable = take("variable", {f"label {k}": str(k) for k in (1, 2, 3)})
    raw = take(f"g{variable}") if variable else ""
    sentence = take("prompt_sentence")
    kind = take("type_name")
    template = take("og_prompt").replace("[NAME]", "{name}")
    if template and not ("{name}" in template and template.count("[BLANK]") == 1):
        problems.append(f"{place}: og_prompt {template!r} needs [NAME], and [BLANK] once")
    try:
        category = read_category(fields["label"], place)
    except DataError as error:
        category = None
        problems += error.problems
    row = _Row(
        line=line,
        template=template,
        target=take("ethnicity", TARGETS),
        name=take("name"),
        gender="woman" if "_women_" in kind else "man" if "_men_" in kind else None,
        group=take("identity", GROUPS),
        commonness=take("common", {"common": "common", "least": "rare", "rare": "rare"}),
        model=f"imported:{take('model')}",
        sample=int(variable or 1) - 1,
        raw=raw,
        text=raw.removeprefix(sentence).strip(),
        category=category,
    )
    if problems:
        raise DataError(*problems)
    return row


def _write_plan(folder: Path, rows: Sequence[_Row]) -> None:
    names = {row.name: row for row in rows}
    with (folder / "signals.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["name", "group", "gender", "commonness", "evidence", "source"])
        for row in names.values():
            writer.writerow([row.name, row.group, row.gender, row.commonness, "published list", SOURCE])
    templates = {row.template: row.target for row in rows}
    _write_yaml(
        folder / "templates.yaml",
        {
            "templates": [
                {
                    "id": f"pilot-{number:02d}",
                    "text": text,
                    "task": "completion",
                    "target": target,
                    "source": SOURCE,
                }
                for number, (text, target) in enumerate(templates.items(), start=1)
            ]
        },
    )
    groups = dict.fromkeys(row.group for row in rows)
    _write_yaml(
        folder / PLAN_FILE,
        {
            "version": PLAN_VERSION,
            "title": "Published pilot of Chehbouni et al. (2024)",
            "samples": 1 + max(row.sample for row in rows),
            "signals": {"files": ["signals.csv"]},
            "templates": {"files": ["templates.yaml"]},
            "models": [{"id": model} for model in dict.fromkeys(row.model for row in rows)],
            "conditions": [{"id": "default", "system": SYSTEM_PROMPT}],
            "annotators": [],
            "plan": {"primary": "refused", "reference": "White" if "White" in groups else next(iter(groups))},
        },
    )


def _write_yaml(path: Path, data: object) -> None:
    path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=110), encoding="utf-8")


def _fill(study: Study, rows: Sequence[_Row]) -> None:
    store = study.store()
    design = build_design(study)
    save_design(store, design)
    text_of = {template.id: template.text for template in design.templates}
    calls = {
        (model.id, text_of[call.prompt.template], call.prompt.signal, call.sample): call
        for model in study.plan.models
        for call in planned_calls(study, model.id, design.prompts)
    }
    time = now()
    responses, annotations = [], []
    for row in rows:
        call = calls[row.model, row.template, row.name, row.sample]
        responses.append(
            Response(
                id=call.id,
                attempt=1,
                prompt=call.prompt.id,
                model=row.model,
                condition=call.condition.id,
                settings=call.settings,
                sample=row.sample,
                seed=None,
                text=row.text,
                finish_reason=None,
                prompt_tokens=None,
                completion_tokens=None,
                latency=None,
                error_kind=None if row.text else "empty",
                error=None if row.text else "the answer is empty",
                created=time,
                raw=row.raw,
            )
        )
        if row.category is not None:
            annotations.append(Annotation(call.id, ANNOTATOR, "imported", "1", row.category, time))
    with store.writing() as connection:
        write_responses(connection, responses)
        write_annotations(connection, annotations)
    store.close()
