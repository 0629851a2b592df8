"""Small studies that every stage's tests use: real folders, real databases, scripted labels."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from servicegap.calls import Call, Design, planned_calls
from servicegap.cli import main
from servicegap.design import build_design, save_design
from servicegap.records import Annotation, Category, ErrorKind, Prompt, Response, Signal, Template
from servicegap.store import Store, write_annotations, write_responses
from servicegap.study import Study, now, open_study

if TYPE_CHECKING:
    from labelling_studies import Labelled

# Machines are shared: how long one example takes says nothing.
settings.register_profile("without_clock", deadline=None)
settings.load_profile("without_clock")

SHARED_DATA = Path(__file__).parents[1] / ".." / "shared" / "data"

SIGNALS_CSV = """\
name,group,gender,commonness
Anna,North,woman,common
Ben,North,man,common
Cleo,North,woman,rare
Dan,North,man,rare
Ema,South,woman,common
Fred,South,man,common
Gina,South,woman,rare
Hugo,South,man,rare
Ines,East,woman,common
Jack,East,man,common
Kira,East,woman,rare
Leo,East,man,rare
"""

TEMPLATES_YAML = """\
templates:
  - {id: s1, text: "{name} went to the market to buy [BLANK].", target: South}
  - {id: s2, text: "{name} took the bus to [BLANK].", target: South}
  - {id: s3, text: "At noon {name} had [BLANK] for lunch.", target: South}
  - {id: e1, text: "{name} called the office about [BLANK].", target: East}
  - {id: e2, text: "On Sunday {name} repaired [BLANK].", target: East}
  - {id: e3, text: "{name} packed [BLANK] for the trip.", target: East}
  - {id: n1, text: "It rained, so {name} took [BLANK] along."}
  - {id: n2, text: "{name} watched [BLANK] in the evening."}
"""

PLAN = """\
version: 1
title: A small study
samples: 2
signals:
  files: [signals.csv]
  control: true
templates:
  files: [templates.yaml]
models:
  - id: openai:mock-1
    base_url: http://127.0.0.1:9/v1
conditions:
  - {id: default, system: "Complete the [BLANK]."}
annotators: []
plan:
  primary: refused
  reference: North
  level: 0.95
"""


#: Python that takes from a process the right to write where the mode of a folder forbids it: root has it.
WITHOUT_PRIVILEGES = """
import ctypes
header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert ctypes.CDLL(None).capset(header, none) == 0
"""


@dataclass(frozen=True)
class Answer:
    """What a call is answered with in a test: a category (None = no label), or an error without text."""

    category: Category | None = "answer"
    error: ErrorKind | None = None
    text: str | None = "some text"


Answers = Callable[[Call, Signal, Template], Answer | None]


class SmallStudy:
    """A study folder of three groups x 4 names x 6 + 2 templates x 2 samples, with the control."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.write("signals.csv", SIGNALS_CSV)
        self.write("templates.yaml", TEMPLATES_YAML)
        self.write("study.yaml", PLAN)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(textwrap.dedent(text), encoding="utf-8")

    def change(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def open(self) -> Study:
        return open_study(self.folder)

    def prompts(self) -> Sequence[Prompt]:
        return build_design(self.open()).prompts

    def design(self, store: Store) -> Design:
        design = build_design(self.open())
        save_design(store, design)
        return design

    def answer(self, store: Store, answers: Answers, *, kind: str = "imported") -> None:
        """Keep a response (and a label) for every planned call that `answers` does not skip."""
        study = self.open()
        design = self.design(store)
        signals = {signal.text: signal for signal in design.signals}
        templates = {template.id: template for template in design.templates}
        responses, annotations = [], []
        for model in study.plan.models:
            for call in planned_calls(study, model.id, design.prompts):
                answer = answers(call, signals[call.prompt.signal], templates[call.prompt.template])
                if answer is None:
                    continue
                responses.append(response_to(call, model.id, answer))
                if answer.category is not None and answer.error is None:
                    annotations.append(
                        Annotation(call.id, "coder", kind, "1", answer.category, now())  # type: ignore[arg-type]
                    )
        with store.writing() as connection:
            write_responses(connection, responses)
            write_annotations(connection, annotations)


def response_to(call: Call, model: str, answer: Answer) -> Response:
    return Response(
        id=call.id,
        attempt=call.attempt,
        prompt=call.prompt.id,
        model=model,
        condition=call.condition.id,
        settings=call.settings,
        sample=call.sample,
        seed=call.seed,
        text=None if answer.error else answer.text,
        finish_reason=None if answer.error else "stop",
        prompt_tokens=None,
        completion_tokens=None,
        latency=0.1,
        error_kind=answer.error,
        error=answer.error,
        created=now(),
    )


@pytest.fixture
def small(tmp_path: Path) -> SmallStudy:
    return SmallStudy(tmp_path / "small")


@pytest.fixture
def store(small: SmallStudy) -> Iterator[Store]:
    opened = small.open().store()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres_schema() -> Iterator[str]:
    """Give the URL of an empty PostgreSQL schema; `.ci/run` starts a server, a machine may have none."""
    from labelling_studies import own_schema

    url = os.environ.get("SERVICEGAP_TEST_POSTGRES")
    if url is None:
        pytest.skip("SERVICEGAP_TEST_POSTGRES has no URL")
    yield from own_schema(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Give the URL of a database of each kind: None for the file in the study's folder."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres_schema")
    return url


@pytest.fixture
def labelled(small: SmallStudy, database: str | None) -> Iterator[Labelled]:
    """Give a study that people label, on each kind of database."""
    from labelling_studies import make, opened

    for store in opened(small, database):
        yield make(small, store)


@pytest.fixture
def each_store(small: SmallStudy, database: str | None) -> Iterator[Store]:
    """Give the small study's database, of each kind."""
    from labelling_studies import opened

    yield from opened(small, database)


@pytest.fixture
def pilot_csv() -> Path:
    path = SHARED_DATA / "llama2_7b_chat_annotated.csv"
    if not path.is_file():
        pytest.skip("the published pilot is not here: ../shared/data/llama2_7b_chat_annotated.csv")
    return path


@pytest.fixture(autouse=True)
def _no_database_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICEGAP_DATABASE", raising=False)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that a command that failed must write, without its prefix."""
        [line] = self.err.splitlines()
        assert line.startswith("servicegap: "), line
        return line.removeprefix("servicegap: ")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command in this process."""

    def run_command(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, captured.out, captured.err)

    return run_command
