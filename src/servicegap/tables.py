"""The tables of a study's database, in SQLAlchemy Core.

What the rows mean is in records.py; how the tables are made, read and written in store.py.
"""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

META = sa.Table(
    "meta",
    METADATA,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
SIGNALS = sa.Table(
    "signals",
    METADATA,
    sa.Column("text", sa.String, primary_key=True),
    sa.Column("group", sa.String),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("gender", sa.String),
    sa.Column("commonness", sa.String),
    sa.Column("evidence", sa.String),
    sa.Column("source", sa.Text),
    sa.Column("notes", sa.Text),
)
TEMPLATES = sa.Table(
    "templates",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("task", sa.String, nullable=False),
    sa.Column("target", sa.String),
    sa.Column("stereotype", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("study", sa.Boolean, nullable=False),
)
PROMPTS = sa.Table(
    "prompts",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("template", sa.String, nullable=False),
    sa.Column("signal", sa.String, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("started", sa.String, nullable=False),
    sa.Column("ended", sa.String),
    sa.Column("provenance", sa.Text, nullable=False),
)
RESPONSES = sa.Table(
    "responses",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("prompt", sa.String(16), nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("condition", sa.String, nullable=False),
    sa.Column("settings", sa.String(16), nullable=False),
    sa.Column("sample", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger),
    sa.Column("text", sa.Text),
    sa.Column("finish_reason", sa.String),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("latency", sa.Float),
    sa.Column("error_kind", sa.String),
    sa.Column("error", sa.Text),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("logprobs", sa.Text),
    sa.Column("raw", sa.Text),
)
ANNOTATIONS = sa.Table(
    "annotations",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("response", sa.String(16), nullable=False, index=True),
    sa.Column("annotator", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("category", sa.String),
    sa.Column("abstain_reason", sa.Text),
    sa.Column("probabilities", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("codebook_hash", sa.String),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("pass", sa.String, nullable=False),
    sa.Column("harm", sa.String),
    sa.Column("criteria", sa.Text),
    sa.Column("supersedes", sa.Integer),
    sa.Column("sampling_probability", sa.Float),
    sa.Column("active_seconds", sa.Float),
    sa.Column("created", sa.String, nullable=False),
)
GOLD_LABELS = sa.Table(
    "gold_labels",
    METADATA,
    sa.Column("response", sa.String(16), primary_key=True),
    sa.Column("category", sa.String, nullable=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("round", sa.Integer),
)
#: Who may open the pages; a name is what annotations carry.
PEOPLE = sa.Table(
    "people",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("role", sa.String, nullable=False),
    sa.Column("token_hash", sa.String, unique=True),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("background", sa.Text),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("consented", sa.String),
    sa.Column("trained", sa.String),
    sa.Column("revoked", sa.String),
)
ROUNDS = sa.Table(
    "rounds",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("codebook_hash", sa.String, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("closed", sa.String),
)
#: Every response that could be drawn for a round, with its chance; `drawn` ones are labelled, in batches.
ROUND_ITEMS = sa.Table(
    "round_items",
    METADATA,
    sa.Column("round", sa.Integer, primary_key=True),
    sa.Column("response", sa.String(16), primary_key=True),
    sa.Column("stratum", sa.String, nullable=False),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("drawn", sa.Boolean, nullable=False),
    sa.Column("batch", sa.Integer),
    sa.Column("folded", sa.Boolean, nullable=False, default=False),
    sa.Column("silent_gold", sa.String),
)
#: One label that is wanted: of a response, in a pass, by one more person.
SLOTS = sa.Table(
    "slots",
    METADATA,
    sa.Column("round", sa.Integer, primary_key=True),
    sa.Column("response", sa.String(16), primary_key=True),
    sa.Column("pass", sa.String, primary_key=True),
    sa.Column("k", sa.Integer, primary_key=True),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("person", sa.String),
    sa.Column("taken", sa.Float),
    sa.Column("done", sa.Boolean, nullable=False, default=False),
    sa.Index("slots_of_person", "person", "done"),
    sa.Index("slots_of_batch", "round", "pass", "batch", "done"),
)
FLAGS = sa.Table(
    "flags",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("response", sa.String(16), nullable=False, index=True),
    sa.Column("person", sa.String, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("created", sa.String, nullable=False),
)
#: What was decided where people disagreed; append-only, the latest counts.
ADJUDICATIONS = sa.Table(
    "adjudications",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("response", sa.String(16), nullable=False, index=True),
    sa.Column("person", sa.String, nullable=False),
    sa.Column("category", sa.String, nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("created", sa.String, nullable=False),
)
#: Answers to practice items; they are no annotations.
PRACTICE = sa.Table(
    "practice",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person", sa.String, nullable=False, index=True),
    sa.Column("item", sa.String, nullable=False),
    sa.Column("category", sa.String, nullable=False),
    sa.Column("right", sa.Boolean, nullable=False),
    sa.Column("created", sa.String, nullable=False),
)
#: How toxic a response reads, by one scorer; no category, and no annotator's probability.
TOXICITY = sa.Table(
    "toxicity",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("response", sa.String(16), nullable=False, index=True),
    sa.Column("scorer", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("reason", sa.Text),
    sa.Column("created", sa.String, nullable=False),
)
#: Every reply of a judge as it came, before it is read: the same columns, as a call is a call. `prompt` is
#: the hash of the masked texts, so that texts that differ by the name alone are asked once.
JUDGE_CALLS = RESPONSES.to_metadata(METADATA, name="judge_calls")
