"""The documentation says what is so: its commands and snippets run, its links lead somewhere.

In the pages, blocks marked ``bash`` and ``python`` are run in order, in a folder of the page's own; a
``text`` block right after one is what it prints (``...`` = anything). ``pycon`` blocks are doctests. Blocks
marked ``sh`` are only checked against the command line: they need a network, a model, or somebody's file.
``py`` blocks need the study's published pilot, and run where it is.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import click
import pytest
import yaml

import servicegap
from servicegap.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
CI = ROOT / ".ci" / "run"
#: The address that the pages write for "your server"; a server of the tests answers in its place.
WRITTEN_ADDRESS = "http://127.0.0.1:8000/v1"
INTERPRETERS = {
    "bash": ["bash", "-euo", "pipefail", "-c"],
    "python": [sys.executable, "-c"],
    "py": [sys.executable, "-c"],
}
RUN = ("bash", "python")
PILOT = ROOT / ".." / "shared" / "data" / "llama2_7b_chat_annotated.csv"
needs_pilot = pytest.mark.skipif(
    not PILOT.is_file(), reason="the study's published pilot is not part of the project"
)
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``prints`` is the text block right after it, None where there is none."""

    language: str
    content: str
    line: int
    prints: str | None


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    text = read(name)
    found = list(_FENCED.finditer(text))
    out = []
    for block, following in zip_longest(found, found[1:]):
        prints = None
        if following and following[1] == "text" and not text[block.end() : following.start()].strip():
            prints = following[2]
        out.append(Block(block[1], block[2], text[: block.start()].count("\n") + 2, prints))
    return out


def walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from walk(below, (*path, name))


COMMANDS = dict(walk(cli))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "fake_server.py"), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+/v1", server.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()


def run(content: str, language: str, folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SERVICEGAP_", "OPENAI_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return subprocess.run(
        [*INTERPRETERS[language], content],
        cwd=folder,
        env=kept | {"PATH": path, "PYTHONUTF8": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def check_block(name: str, block: Block, ran: subprocess.CompletedProcess[str]) -> None:
    place = f"{name}:{block.line}"
    assert ran.returncode == 0, f"{place} ended {ran.returncode}:\n{ran.stdout}{ran.stderr}"
    if block.prints is not None:
        same = doctest.OutputChecker().check_output(block.prints, ran.stdout, doctest.ELLIPSIS)
        assert same, f"{place} should print:\n{block.prints}\nand printed:\n{ran.stdout}"


@pytest.mark.parametrize("name", [n for n in NAMES if any(b.language in RUN for b in blocks(n))])
def test_the_commands_of_a_page_run_and_print_what_it_says(name: str, tmp_path: Path, address: str) -> None:
    for block in blocks(name):
        if block.language in RUN:
            content = block.content.replace(WRITTEN_ADDRESS, address)
            check_block(name, block, run(content, block.language, tmp_path))


@needs_pilot
def test_snippets_on_the_pilot_print_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / PILOT.name).symlink_to(PILOT.resolve())
    snippets = [block for block in blocks("docs/methods.md") if block.language == "py"]
    assert snippets
    for block in snippets:
        assert block.prints is not None
        check_block("docs/methods.md", block, run(block.content, "py", tmp_path))


@needs_pilot
def test_the_table_of_the_pilot_is_what_its_command_gives(tmp_path: Path) -> None:
    (tmp_path / PILOT.name).symlink_to(PILOT.resolve())
    command = next(
        b.content for b in blocks("docs/methods.md") if b.language == "sh" and "--table" in b.content
    )
    ran = run(command, "bash", tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = [
        e for e in json.loads(ran.stdout)["estimates"] if e["outcome"] == "refused" and e["target"] is None
    ]
    gaps, naive = ({e["group"]: e for e in found if e["kind"] == kind} for kind in ("gap", "naive_gap"))
    rows = [
        f"| {group.capitalize()} | {100 * gap['value']:.1f} "
        f"| {interval(naive[group])}, p {p_text(naive[group]['p'])} "
        f"| {interval(gap)}, p {gap['p']:.3f} | {gap['p_adjusted']:.3f} |"
        for group, gap in gaps.items()
    ]
    assert len(rows) == 4
    missing = [row for row in rows if row not in read("docs/methods.md")]
    assert not missing


def interval(estimate: dict[str, float]) -> str:
    return f"{100 * estimate['low']:.1f} to {100 * estimate['high']:.1f}"


def p_text(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.0e}"


@pytest.mark.parametrize("name", [n for n in NAMES if ">>> " in read(n)])
def test_the_doctests_of_a_page_hold(name: str) -> None:
    # Fences are blanked, or they would count as output; lines keep their numbers.
    text = re.sub(r"^```.*$", "", read(name), flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    outcome = doctest.DocTestRunner(verbose=False).run(examples)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_the_page_of_commands_is_what_help_says() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "write_commands.py"))["commands_page"]()
    assert read("docs/commands.md") == page, "run: python scripts/write_commands.py"


def test_every_command_has_its_section_help_and_example() -> None:
    headings = set(re.findall(r"^## (.*)$", read("docs/commands.md"), re.MULTILINE))
    assert headings == {" ".join(("servicegap", *path)) for path in COMMANDS}
    silent = [path for path, command in COMMANDS.items() if not command.help]
    assert not silent
    without_example = [
        path
        for path, command in COMMANDS.items()
        if not isinstance(command, click.Group)
        and not (command.epilog or "").startswith(" ".join(("servicegap", *path)))
    ]
    assert not without_example


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_a_page_names_exist_with_their_options(name: str) -> None:
    shown = [b.content for b in blocks(name) if b.language in ("sh", "bash")]
    shown += re.findall(r"`(servicegap [^`\n]+)`", read(name))
    problems = []
    for text in shown:
        joined = text.replace("\\\n", " ").split("\n<<", 1)[0]
        for written in re.findall(r"(?:^|&& )(servicegap [^\n&|>]*)", joined, re.MULTILINE):
            problems += mistakes(shlex.split(written)[1:])
    assert not problems


def mistakes(words: list[str]) -> list[str]:
    """Return which words of a command line name no command or no option of it."""
    path: tuple[str, ...] = ()
    while words and (*path, words[0]) in COMMANDS:
        path = (*path, words.pop(0))
    command = COMMANDS[path]
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        return [f"no command: servicegap {' '.join((*path, words[0]))}"]
    options = {"--help", "--debug", "--version"} | {
        o for p in command.params for o in (*p.opts, *p.secondary_opts)
    }
    return [
        f"servicegap {' '.join(path)} has no {w}" for w in words if w.startswith("--") and w not in options
    ]


def test_mistakes_of_a_command_line_are_seen() -> None:
    assert mistakes(shlex.split("audit my-study --model fake:even")) == []
    assert mistakes(shlex.split("audit my-study --modell fake:even")) == ["servicegap audit has no --modell"]
    assert mistakes(shlex.split("models fetch smollm2-135m")) == ["no command: servicegap models fetch"]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    prose = _FENCED.sub("", read(name))
    dead = []
    for target in _LINK.findall(prose):
        if re.match(r"(https?|mailto):", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        if not path.exists() or (anchor and anchor not in anchors(path)):
            dead.append(target)
    assert not dead


def test_the_index_leads_to_every_page() -> None:
    linked = {(ROOT / "docs" / target).resolve() for target in _LINK.findall(read("docs/index.md"))}
    missing = [page for page in PAGES if page.resolve() not in linked and page.name != "index.md"]
    assert not missing


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get: lower case, spaces to hyphens, no punctuation."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [*NAMES, "CITATION.cff", "pyproject.toml"])
def test_no_page_names_a_machine_or_a_registry(name: str) -> None:
    text = read(name)
    assert not re.findall(r"(?<![\w.~-])/(?:work|tmp|home|root|Users|farm|opt|mnt)\b\S*", text)
    assert not re.findall(r"pypi\.org|pythonhosted|registry\.npmjs|index-url", text)


def test_readme_has_the_two_commands() -> None:
    audit, tests = readme_commands()
    assert audit.endswith("pip install '.[local]' && servicegap audit my-study")
    assert tests.endswith("pip install -c constraints.txt -e '.[local,test]' && pytest -n auto")
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    assert {"local", "test"} <= set(extras)
    assert (ROOT / "constraints.txt").is_file()


@pytest.mark.skipif(not CI.is_file(), reason="only a checkout has .ci/run")
def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    assert readme_commands()[1] in CI.read_text(encoding="utf-8")


def readme_commands() -> list[str]:
    commands = [b.content.strip() for b in blocks("README.md") if b.language == "sh"]
    return [
        command for command in commands if command.startswith("python3 -m venv .venv && . .venv/bin/activate")
    ]


def test_citation_and_changelog_are_of_this_version() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == servicegap.__version__
    assert citation["authors"] == [{"name": "servicegap developers"}]
    assert citation["references"][0]["authors"][0]["family-names"] == "Chehbouni"
    assert f"\n## [{servicegap.__version__}]" in read("CHANGELOG.md")


def test_every_dependency_is_accounted_for() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    wanted = [
        *project["dependencies"],
        *(d for extra in project["optional-dependencies"].values() for d in extra),
    ]
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in wanted}
    rows = set(re.findall(r"^\| `([^`]+)` \|", read("docs/dependencies.md"), re.MULTILINE))
    assert rows == names


def test_every_benchmark_has_its_command() -> None:
    named = set(re.findall(r"benchmarks/(\w+\.py)", read("docs/benchmarks.md")))
    assert named == {path.name for path in (ROOT / "benchmarks").glob("*.py")}
