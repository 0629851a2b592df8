"""The study folder and its plan, ``study.yaml``.

The plan says what to ask, whom to ask about, which models, and how the answers will be analysed. The
data live in the database (store.py); this module finds them, and notices when the plan changed after
the first collection.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from servicegap.belonging import claim
from servicegap.errors import StudyError
from servicegap.records import OUTCOMES, Condition, Decoding
from servicegap.store import Store, look_into_store, open_store
from servicegap.yaml_source import Loc, YamlSource, read_yaml, validate

PLAN_FILE = "study.yaml"
#: The version of the format of study.yaml.
PLAN_VERSION = 1
Name = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SignalsPlan(_Part):
    """Whom to ask about."""

    files: tuple[Name, ...] = Field(default=("names",), min_length=1)
    groups: tuple[Name, ...] | None = Field(default=None, min_length=2)
    names_per_group: int | None = Field(default=None, ge=1)
    control: bool = False


class TemplatesPlan(_Part):
    """What to ask. ``targets`` and ``per_target`` apply to the templates that carry a stereotype."""

    files: tuple[Name, ...] = Field(default=("toxigen",), min_length=1)
    targets: tuple[Name, ...] | None = Field(default=None, min_length=1)
    per_target: int | None = Field(default=None, ge=1)
    study_only: bool = False


class ModelPlan(_Part):
    """A model to ask, and how hard.

    ``key_variable`` names the environment variable that holds its key, where it is another than most
    models'. The key itself has no place in study.yaml.
    """

    id: Name
    base_url: str | None = None
    key_variable: Name | None = None
    concurrency: int | None = Field(default=None, ge=1, le=1000)
    timeout: float = Field(default=120.0, gt=0)
    retries: int = Field(default=5, ge=0)


class JudgePlan(ModelPlan):
    """A model that labels responses by the codebook, and how it is asked.

    Without a ``temperature`` it is 0 for one sample and 1 for several; null = not sent, the server's own.
    ``example_tokens`` is about how long the codebook's cases in the prompt may be, ``reason`` whether the
    judge gives its reason before the label.
    """

    samples: int = Field(default=1, ge=1, le=100)
    temperature: float | None = Field(default=None, ge=0)
    max_tokens: int = Field(default=200, ge=8)
    example_tokens: int = Field(default=1500, ge=0)
    reason: bool = False

    @model_validator(mode="before")
    @classmethod
    def _default_temperature(cls, data: Any) -> Any:
        if isinstance(data, dict) and "temperature" not in data:
            several = isinstance(data.get("samples"), int) and data["samples"] > 1
            return {**data, "temperature": 1.0 if several else 0.0}
        return data

    @model_validator(mode="after")
    def _samples_differ(self) -> JudgePlan:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"samples: {self.samples} at temperature 0 would ask the same again; leave temperature out, "
                "or ask once"
            )
        return self


class DecodingPlan(_Part):
    """How words are chosen; what is left out is not sent, and recorded as not sent."""

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    min_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: tuple[Name, ...] = ()
    logprobs: int | None = Field(default=None, ge=0, le=20)


class ConditionPlan(_Part):
    """What the models are run under."""

    id: Name = "default"
    system: str | None = None
    prefill: str | None = None
    mode: Literal["chat", "completion"] = "chat"
    decoding: DecodingPlan = DecodingPlan()

    def record(self) -> Condition:
        """Return the condition as the models take it."""
        fields = self.model_dump(exclude={"decoding"})
        return Condition(**fields, decoding=Decoding(**self.decoding.model_dump()))


class WeightsPlan(_Part):
    """What each part of the templates contributes to the planned gaps; the templates of a part the same."""

    by: Literal["target"] = "target"
    shares: dict[Name, Annotated[float, Field(ge=0, le=1)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> WeightsPlan:
        total = sum(self.shares.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"shares: sum to {total:g}; give shares that sum to 1")
        return self


class AnalysisPlan(_Part):
    """What will be claimed, said before there are data.

    ``weights`` None = every template counts the same; ``family``: the groups whose gaps are planned, None =
    all; ``margin``: the smallest gap that matters.
    """

    primary: Name = "refused"
    reference: Name = "White"
    level: float = Field(default=0.95, gt=0.5, lt=1)
    margin: float | None = Field(default=None, gt=0, lt=1)
    weights: WeightsPlan | None = None
    family: tuple[Name, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _known_outcome(self) -> AnalysisPlan:
        if self.primary not in OUTCOMES:
            raise ValueError(f"primary: {self.primary!r} is no outcome; allowed: {', '.join(OUTCOMES)}")
        if self.family is not None and self.reference in self.family:
            raise ValueError(
                f"family: {self.reference!r} is the reference; name the groups that are compared with it"
            )
        return self

    @property
    def shares(self) -> Mapping[str, float] | None:
        """What each target's templates contribute to the planned gaps, None = every template the same."""
        return self.weights.shares if self.weights else None

    def in_family(self, group: str | None) -> bool:
        """Whether the gap of a group is a planned one."""
        return self.family is None or group in self.family


class SamplePlan(_Part):
    """Which responses people label.

    ``all``; ``random``: each with chance ``fraction``; ``stratified``: ``per_stratum`` of each group x
    automatic label (all, where there are fewer). The chances are kept, as correction needs them.
    """

    kind: Literal["all", "random", "stratified"] = "all"
    fraction: float = Field(default=0.1, gt=0, le=1)
    per_stratum: int = Field(default=20, ge=1)


class LabellingPlan(_Part):
    """How people label, and what protects them."""

    annotators: int = Field(default=2, ge=1, le=20)
    mask_signals: bool = False
    sample: SamplePlan = SamplePlan()
    batch: int = Field(default=50, ge=1)
    practice: bool = True
    silent_gold: int = Field(default=0, ge=0)
    daily_cap: int = Field(default=400, ge=1)
    break_minutes: int = Field(default=45, ge=1)
    lease_minutes: int = Field(default=15, ge=1)
    content_note: Name | None = None


class StudyPlan(_Part):
    """The whole of study.yaml."""

    version: int = Field(default=PLAN_VERSION, ge=1, le=PLAN_VERSION)
    title: str = ""
    preset: str | None = None
    seed: int = 20240313
    samples: int = Field(default=1, ge=1)
    signals: SignalsPlan = SignalsPlan()
    templates: TemplatesPlan = TemplatesPlan()
    models: tuple[ModelPlan, ...] = Field(min_length=1)
    conditions: tuple[ConditionPlan, ...] = Field(default=(ConditionPlan(),), min_length=1)
    annotators: tuple[Name, ...] = ("offline",)
    judges: tuple[JudgePlan, ...] = ()
    labelling: LabellingPlan = LabellingPlan()
    plan: AnalysisPlan = AnalysisPlan()
    database: str | None = None

    @model_validator(mode="after")
    def _unique(self) -> StudyPlan:
        for what, ids in (
            ("models", [model.id for model in self.models]),
            ("conditions", [condition.id for condition in self.conditions]),
            ("judges", [judge.id for judge in self.judges]),
        ):
            twice = sorted({name for name in ids if ids.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: {', '.join(twice)} is there twice; each id once")
        same: dict[str, str] = {}
        for condition in self.conditions:
            # Calls are identified by what is sent: two names for the same would be one call.
            other = same.setdefault(condition.record().settings, condition.id)
            if other != condition.id:
                raise ValueError(
                    f"conditions: {other} and {condition.id} ask the same in the same way; make them differ, "
                    "or keep one of them (to ask more often, raise samples)"
                )
        return self


@dataclass(frozen=True, slots=True)
class Study:
    """A study folder with its plan read; ``source`` is the file that it was read from."""

    folder: Path
    plan: StudyPlan
    source: YamlSource | None = field(default=None, repr=False, compare=False)

    @property
    def results_path(self) -> Path:
        """Where `analyse` writes."""
        return self.folder / "results.json"

    @property
    def report_path(self) -> Path:
        """Where `report` writes."""
        return self.folder / "report" / "index.html"

    def store(self) -> Store:
        """Open the study's database; SERVICEGAP_DATABASE goes before study.yaml's ``database``.

        Raises
        ------
        StudyError
            If it cannot be opened, or another study is in it.
        """
        store = open_store(self._database, self._database_url)
        if self._database_url:  # study.db is in the folder: no other study uses it
            try:
                claim(self.folder, store)
            except BaseException:
                store.close()
                raise
        return store

    def store_as_it_is(self) -> Store:
        """Open the database to look at it: none is made, and nothing in it is changed."""
        return look_into_store(self._database, self._database_url)

    @property
    def _database(self) -> Path:
        return self.folder / "study.db"

    @property
    def _database_url(self) -> str | None:
        return os.environ.get("SERVICEGAP_DATABASE") or self.plan.database

    def problem(self, loc: Loc, sentence: str) -> str:
        """Return a sentence on a mistake in the plan with its file and line."""
        return f"{self.source.path}:{self.source.line(loc)}: {sentence}" if self.source else sentence

    def path(self, written: str) -> Path:
        """Return the path of a file that study.yaml names, relative to the folder."""
        return self.folder / written


def open_study(folder: Path) -> Study:
    """Read the plan of the study in `folder`.

    Raises
    ------
    StudyError
        If there is no plan, or a newer servicegap wrote it.
    InputError
        With every mistake in it, each with its line.
    """
    path = folder / PLAN_FILE
    if not path.is_file():
        raise StudyError(f"{path}: not found; make a study with: servicegap init {folder}")
    source = read_yaml(path)
    version = source.data.get("version", PLAN_VERSION) if isinstance(source.data, dict) else PLAN_VERSION
    if isinstance(version, int) and version > PLAN_VERSION:
        raise StudyError(
            f"{path}:{source.line(('version',))}: version {version} is of a newer servicegap (this one "
            f"reads up to {PLAN_VERSION}); upgrade with: pip install --upgrade servicegap"
        )
    return Study(folder, validate(StudyPlan, source), source)


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def write_text_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink()
        if not isinstance(error, OSError):
            raise
        raise StudyError(
            f"{path}: cannot be written: {error.strerror}; nothing was changed; make room, or the folder "
            "writable, and run the same command again"
        ) from error


def write_json_whole(path: Path, data: Any) -> None:
    """Write `data` as JSON with `write_text_whole`; dataclasses become objects."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False, default=dataclasses.asdict)
    write_text_whole(path, text + "\n")


@contextmanager
def only_one(study: Study, what: str, store: Store | None = None) -> Iterator[None]:
    """Hold the study, and its database where a team shares one, for one collector (say).

    The system and the database let go even after kill -9.

    Raises
    ------
    StudyError
        If another process holds it.
    """
    with _folder_held(study, what), store.held_for(what) if store else nullcontext(True) as free:
        if not free:
            raise StudyError(
                f"{store.place if store else study.folder}: another {what} is at work on this study, from "
                "another folder or machine; wait for it or stop it, then run the command again"
            )
        yield


@contextmanager
def _folder_held(study: Study, what: str) -> Iterator[None]:
    try:
        # Imported here so that reading a study works everywhere.
        import fcntl  # noqa: PLC0415
    except ModuleNotFoundError:
        # Unix alone has it. Elsewhere two at once do the work twice, and the database takes one result.
        yield
        return
    path = study.folder / f".{what}.lock"
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            raise StudyError(
                f"{study.folder}: another {what} is at work on this study (process {handle.read() or '?'}); "
                "wait for it or stop it, then run the command again"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
