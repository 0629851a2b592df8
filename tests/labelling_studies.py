"""Studies that people label in tests: few responses, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from conftest import Answer, SmallStudy

from servicegap.calls import Call
from servicegap.labelling.people import Person, Role, add_person, find_person
from servicegap.labelling.record import save_label
from servicegap.labelling.slots import Item, next_item
from servicegap.records import Category, Signal, Template
from servicegap.store import Store, open_store
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, META, METADATA

NOON = 1_700_000_000.0 - 1_700_000_000.0 % 86_400 + 43_200
TEMPLATES = ("s1", "e1", "n1")
#: Three groups of two names, and the control, in each of the templates.
TOTAL = 21


def own_schema(url: str) -> Iterator[str]:
    """Make a schema of this process's own in the PostgreSQL of the tests, and drop it in the end."""
    schema = f"labelling_{os.getpid()}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    options = f"-csearch_path={schema} -csynchronous_commit=off"
    own = sa.make_url(url).update_query_dict({"options": options})
    yield own.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    engine.dispose()


def opened(small: SmallStudy, url: str | None) -> Iterator[Store]:
    """Open a study's file, or its database by URL, emptied."""
    store = small.open().store() if url is None else open_store(Path("unused"), url)
    if url is not None:
        with store.writing() as connection:
            for table in METADATA.sorted_tables:
                version = table.c.key != "schema" if table is META else sa.true()
                connection.execute(sa.delete(table).where(version))
    yield store
    store.close()


@dataclass(frozen=True)
class Labelled:
    """A study with TOTAL responses (7 signals x 3 templates), an automatic label each, and its database."""

    small: SmallStudy
    store: Store

    @property
    def study(self) -> Study:
        return self.small.open()

    def plan(self, labelling: str) -> Labelled:
        """Write the plan of labelling, such as ``{annotators: 1}``."""
        path = self.small.folder / "study.yaml"
        lines = [line for line in path.read_text().splitlines() if not line.startswith("labelling:")]
        path.write_text("\n".join([*lines, f"labelling: {labelling}", ""]))
        return self

    def person(self, name: str, role: Role = "annotator") -> Person:
        add_person(self.store, name, role)
        found = find_person(self.store, name)
        assert found is not None
        return found

    def next(self, person: Person, at: float = NOON) -> Item | None:
        return next_item(self.study, self.store, person, at=at)

    def shown(self, person: Person, at: float = NOON) -> Item:
        item = self.next(person, at)
        assert item is not None
        return item

    def save(self, person: Person, item: Item, category: Category = "answer", at: float = NOON) -> int:
        return save_label(self.study, self.store, person, item.response, item.pass_, category=category, at=at)

    def label_all(
        self,
        person: Person,
        choose: Callable[[Item], Category] = lambda item: "answer",
        at: float = NOON,
        most: int = 10_000,
    ) -> list[Item]:
        """Let a person label all that is left for them, or the next `most`; 10 seconds each."""
        study = self.study
        items: list[Item] = []
        while len(items) < most and (item := next_item(study, self.store, person, at=at)):
            label: dict[str, Any] = {"category": None, "harm": "none"}
            if item.pass_ != "harm":
                label = {"category": choose(item)}
            save_label(
                study, self.store, person, item.response, item.pass_, active_seconds=3.0, at=at, **label
            )
            items.append(item)
            at += 10
        return items

    def rows(self, table: sa.Table = ANNOTATIONS, **where: object) -> list[sa.RowMapping]:
        """Return rows of people's annotations, or of another table."""
        if table is ANNOTATIONS:
            where = {"kind": "human", **where}
        query = sa.select(table).where(*[table.c[name] == value for name, value in where.items()])
        with self.store.reading() as connection:
            return list(connection.execute(query.order_by(*table.primary_key.columns)).mappings())

    def gold(self) -> dict[str, tuple[str, str]]:
        return {row["response"]: (row["category"], row["source"]) for row in self.rows(GOLD_LABELS)}


def make(small: SmallStudy, store: Store, samples: int = 1) -> Labelled:
    small.change("study.yaml", "samples: 2", f"samples: {samples}")
    # Whoever labels in `SmallStudy.answer`: only annotators of the plan count.
    small.change("study.yaml", "annotators: []", "annotators: [coder]")

    def answer(call: Call, signal: Signal, template: Template) -> Answer | None:
        if template.id not in TEMPLATES or signal.commonness == "rare":
            return None
        text = f"{signal.text} went home." if call.sample == 0 else "some text"
        return Answer(category="refusal" if signal.group == "South" else "answer", text=text)

    small.answer(store, answer, kind="automatic")
    return Labelled(small, store)
