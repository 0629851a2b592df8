"""The codebook: what the six categories mean and the questions that lead to one of them.

The built-in text is ``codebook.yaml`` beside this module; a study may bring its own. People, the offline
annotator and judge models all work from the same text. Not here: how labels are asked for or kept.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from servicegap.errors import InputError
from servicegap.records import CATEGORIES, Category, content_hash

if TYPE_CHECKING:
    from servicegap.study import Study

BUILT_IN = Path(__file__).with_name("codebook.yaml")

MIN_CASES = 4  # borderline cases for each category: fewer leave the border to taste

_TOP_FIELDS = ("version", "harm_criteria", "categories", "path")
_CATEGORY_FIELDS = ("id", "label", "key", "definition", "includes", "excludes", "cases")
_CASE_FIELDS = ("prompt", "response", "category", "why")
_CRITERION_FIELDS = ("id", "label", "text")
# Not "yes" and "no": YAML reads these as true and false.
_QUESTION_FIELDS = ("id", "question", "if_yes", "if_no")

_Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One borderline case: a made-up prompt and response, the right category and why."""

    prompt: str
    response: str
    category: Category
    why: str


@dataclass(frozen=True, slots=True)
class CategoryText:
    """What the codebook says of one category; ``key`` is the number key (1 to 6) that picks it."""

    id: Category
    label: str
    key: int
    definition: str
    includes: tuple[str, ...]
    excludes: tuple[str, ...]
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class HarmCriterion:
    """One written criterion; a response that meets any of them is harmful."""

    id: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """One yes/no question of the decision path; ``if_yes`` and ``if_no`` name a question or a category."""

    id: str
    question: str
    if_yes: str
    if_no: str


@dataclass(frozen=True, slots=True)
class Codebook:
    """A checked codebook.

    Attributes
    ----------
    version : str
        What its author calls this version.
    hash : str
        16 hexadecimal digits over the content: comments and layout do not count, every word does.
    harm_criteria : tuple of HarmCriterion
    categories : tuple of CategoryText
        One for each of the six ids, in the order of ``records.CATEGORIES``.
    path : tuple of Question
        The decision path; it starts with the first.
    """

    version: str
    hash: str
    harm_criteria: tuple[HarmCriterion, ...]
    categories: tuple[CategoryText, ...]
    path: tuple[Question, ...]

    def decide(self, answers: Mapping[str, bool]) -> Category:
        """Walk the decision path.

        Parameters
        ----------
        answers : mapping of str to bool
            Question id -> yes; questions off the way need no answer.

        Returns
        -------
        str
            The category at which the walk ends.

        Raises
        ------
        InputError
            If a question on the way has no answer.
        """
        questions = {question.id: question for question in self.path}
        step = self.path[0].id
        while step in questions:
            if step not in answers:
                raise InputError(f"No answer to the question {step!r}: {questions[step].question}")
            step = questions[step].if_yes if answers[step] else questions[step].if_no
        return cast(Category, step)


def codebook_of(study: Study) -> Codebook:
    """Return the codebook that a study is labelled by: its own ``codebook.yaml``, or the built-in one.

    Raises
    ------
    InputError
        As in :func:`load_codebook`.
    """
    path = own_codebook(study) or BUILT_IN
    changed = path.stat()
    return _read_once(path, changed.st_mtime_ns, changed.st_size)


def own_codebook(study: Study) -> Path | None:
    """Return the path of a study's own codebook, None where it is labelled by the built-in one."""
    path = study.folder / "codebook.yaml"
    return path if path.is_file() else None


@functools.lru_cache(maxsize=8)
def _read_once(path: Path, _changed: int, _size: int) -> Codebook:
    # Every page asks for it and reading takes a tenth of a second, so a file is read once until it changes.
    return load_codebook(path)


def load_codebook(path: Path | None = None) -> Codebook:
    """Read and check a codebook.

    Parameters
    ----------
    path : Path, optional
        A study's own ``codebook.yaml``; None = the built-in one.

    Returns
    -------
    Codebook

    Raises
    ------
    InputError
        If the file cannot be read or is not a complete codebook; all its mistakes are told together,
        each with ``file:line``.

    Examples
    --------
    >>> [category.id for category in load_codebook().categories][:2]
    ['answer', 'partial_answer']
    """
    file = BUILT_IN if path is None else path
    content, lines = _read(file)
    checker = _Checker(file, lines)
    checker.check(content)
    if checker.problems:
        raise InputError(*checker.problems)
    return _build(content)


def _read(file: Path) -> tuple[Any, dict[_Place, int]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: the codebook cannot be read ({error}).") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: impossible dates
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        reason = getattr(error, "problem", None) or "values cannot be read"
        raise InputError(f"{file}:{line}: not valid YAML: {reason}.") from error
    return content, dict(_line_numbers(node, (), set()))


def _line_numbers(node: yaml.Node | None, place: _Place, seen: set[int]) -> Iterator[tuple[_Place, int]]:
    if node is None or id(node) in seen:  # seen: an alias, perhaps of itself
        return
    seen.add(id(node))
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _line_numbers(value, (*place, str(key.value)), seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _line_numbers(value, (*place, index), seen)


class _Checker:
    """Gathers the mistakes of one codebook."""

    def __init__(self, file: Path, lines: Mapping[_Place, int]) -> None:
        self.file = file
        self.lines = lines
        self.problems: list[str] = []

    def tell(self, place: _Place, problem: str) -> None:
        while place and place not in self.lines:
            place = place[:-1]
        self.problems.append(f"{self.file}:{self.lines.get(place, 1)}: {problem}")

    def check(self, content: Any) -> None:
        if not self.fields(content, (), _TOP_FIELDS):
            return
        self.text(content["version"], ("version",))
        criteria = self.items(content["harm_criteria"], ("harm_criteria",), _CRITERION_FIELDS)
        for place, criterion in criteria:
            for name in _CRITERION_FIELDS:
                self.text(criterion[name], (*place, name))
        categories = self.items(content["categories"], ("categories",), _CATEGORY_FIELDS)
        for place, category in categories:
            self.category(category, place)
        self.each_once([category["id"] for _, category in categories], ("categories",), CATEGORIES)
        self.each_once([category["key"] for _, category in categories], ("categories",), range(1, 7))
        self.path(self.items(content["path"], ("path",), _QUESTION_FIELDS))

    def category(self, category: Mapping[str, Any], place: _Place) -> None:
        for name in ("label", "definition"):
            self.text(category[name], (*place, name))
        for name in ("includes", "excludes"):
            self.texts(category[name], (*place, name))
        cases = self.items(category["cases"], (*place, "cases"), _CASE_FIELDS)
        if len(cases) < MIN_CASES:
            problem = f"{category['id']!r} has {len(cases)} complete cases; at least {MIN_CASES} are needed."
            self.tell((*place, "cases"), problem)
        for case_place, case in cases:
            for name in ("prompt", "response", "why"):
                self.text(case[name], (*case_place, name))
            if case["category"] not in CATEGORIES:
                self.unknown(case["category"], (*case_place, "category"), CATEGORIES)

    def path(self, questions: list[tuple[_Place, Mapping[str, Any]]]) -> None:
        ids = [question["id"] for _, question in questions]
        ends: set[str] = set()
        for place, question in questions:
            for name in _QUESTION_FIELDS:
                self.text(question[name], (*place, name))
            for name in ("if_yes", "if_no"):
                # Only forward: the walk then ends, whatever is answered.
                allowed = [*ids[ids.index(question["id"]) + 1 :], *CATEGORIES]
                if question[name] not in allowed:
                    self.unknown(question[name], (*place, name), allowed)
                ends.add(str(question[name]))
        if len(set(map(str, ids))) < len(ids):
            self.tell(("path",), "two questions have the same id; each needs its own.")
        for id_ in [id_ for id_ in [*ids[1:], *CATEGORIES] if id_ not in ends]:
            self.tell(("path",), f"nothing in the path leads to {id_!r}; let a question end in it.")

    def fields(self, value: Any, place: _Place, names: tuple[str, ...]) -> bool:
        if not isinstance(value, dict):
            self.tell(place, f"{_short(value)} found; expected the fields {', '.join(names)}.")
            return False
        for name in [name for name in names if name not in value]:
            self.tell(place, f"the field {name!r} is missing; the fields are {', '.join(names)}.")
        for name in [name for name in value if name not in names]:
            self.tell((*place, name), f"unknown field {name!r}; the fields are {', '.join(names)}.")
        return all(name in value for name in names)

    def items(
        self, value: Any, place: _Place, names: tuple[str, ...]
    ) -> list[tuple[_Place, Mapping[str, Any]]]:
        if not isinstance(value, list) or not value:
            self.tell(place, f"{_short(value)} found; expected a list of entries.")
            return []
        entries = [((*place, index), entry) for index, entry in enumerate(value)]
        return [(at, entry) for at, entry in entries if self.fields(entry, at, names)]

    def texts(self, value: Any, place: _Place) -> None:
        if not isinstance(value, list) or not value:
            self.tell(place, f"{_short(value)} found; expected a list of sentences.")
            return
        for index, entry in enumerate(value):
            self.text(entry, (*place, index))

    def text(self, value: Any, place: _Place) -> None:
        if not isinstance(value, str) or not value.strip():
            name = next((part for part in reversed(place) if isinstance(part, str)), "value")
            self.tell(place, f"{name}: {_short(value)} found; expected text (put it in quotation marks).")

    def each_once(self, found: list[Any], place: _Place, wanted: Any) -> None:
        for value in wanted:
            if found.count(value) != 1:
                self.tell(place, f"{value!r} occurs {found.count(value)} times; exactly once is needed.")
        for value in [value for value in found if value not in wanted]:
            self.unknown(value, place, wanted)

    def unknown(self, value: Any, place: _Place, allowed: Any) -> None:
        self.tell(place, f"{_short(value)} is not known here; allowed: {', '.join(map(str, allowed))}.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _build(content: Mapping[str, Any]) -> Codebook:
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False)
    categories = {
        entry["id"]: CategoryText(
            id=entry["id"],
            label=entry["label"],
            key=entry["key"],
            definition=entry["definition"],
            includes=tuple(entry["includes"]),
            excludes=tuple(entry["excludes"]),
            cases=tuple(Case(**case) for case in entry["cases"]),
        )
        for entry in content["categories"]
    }
    return Codebook(
        version=content["version"],
        hash=content_hash(canonical),
        harm_criteria=tuple(HarmCriterion(**entry) for entry in content["harm_criteria"]),
        categories=tuple(categories[id_] for id_ in CATEGORIES),
        path=tuple(Question(**entry) for entry in content["path"]),
    )
