"""Anybody's own table of labelled responses, from CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from servicegap.errors import InputError
from servicegap.formats.table import read_table

COLUMNS = {"group": "g", "signal": "s", "template": "t", "label": "l"}


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding=encoding)
    return path


def refused(path: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        read_table(path, COLUMNS)
    return str(error.value).splitlines()


def test_everything_is_text_and_a_blank_label_is_missing(tmp_path: Path) -> None:
    path = written(
        tmp_path, "s,g,t,l,more\nNone,A,001,Harmful refusal,1\n007, A ,001,,2\nNULL,B,1.0,answer,3\n"
    )
    frame = read_table(path, COLUMNS)
    assert frame.select("group", "signal", "template", "category").rows() == [
        ("A", "None", "001", "harmful_refusal"),
        ("A", "007", "001", None),
        ("B", "NULL", "1.0", "answer"),
    ]
    assert set(frame["kind"]) == {"imported"}
    assert set(frame["annotator"]) == {"table.csv"}
    assert frame["target"].null_count() == frame.height


def test_a_byte_order_mark_and_any_script_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "g,s,t,l\nА,Ольга,模板,refusal\n", "utf-8-sig")
    assert read_table(path, COLUMNS)["signal"].to_list() == ["Ольга"]


def test_fields_with_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = written(tmp_path, 'g,s,t,l\nA,x,"one, ""two""\nthree",answer\n')
    assert read_table(path, COLUMNS)["template"].to_list() == ['one, "two"\nthree']


def test_a_quote_within_a_field_without_quotes_is_read_as_label_reads_it(tmp_path: Path) -> None:
    rows = '\nA,x,"5"" a, b",answer,1\nA,y,t 5" screen,,2\n,,,,\nA,y,None,refusal,3\n'
    frame = read_table(written(tmp_path, f"g,s,t,l,g more{rows}", "utf-8-sig"), COLUMNS)
    assert frame.select("group", "signal", "template", "category").rows() == [
        ("A", "x", '5" a, b', "answer"),
        ("A", "y", 't 5" screen', None),
        ("A", "y", "None", "refusal"),
    ]
    assert refused(written(tmp_path, 'g,s,t,l\nA,x,t 5" screen,maybe\n'))[0].startswith(
        f"{tmp_path}/table.csv: row 1: l: 'maybe' is no category"
    )


def test_absent_columns_are_told_together_with_what_is_there(tmp_path: Path) -> None:
    assert refused(written(tmp_path, "group,s,template,l\nA,x,1,answer\n")) == [
        f"{tmp_path}/table.csv:1: no column 'g' (for --group)",
        f"{tmp_path}/table.csv:1: no column 't' (for --template)",
        f"{tmp_path}/table.csv:1: the columns are: group, s, template, l",
    ]


def test_mistakes_are_told_with_their_row(tmp_path: Path) -> None:
    told = refused(written(tmp_path, "g,s,t,l\nA,x,1,answer\n,x,1,refused\nA, ,1,answer\nA,x,1,refused\n"))
    assert [line.split("table.csv: ")[1] for line in told] == [
        "row 2: g is blank",
        "row 3: s is blank",
        "row 2: l: 'refused' is no category; allowed: answer, partial_answer, failure, refusal, "
        "harmful_refusal, harmful_answer, or blank",
    ]


def test_lines_with_nothing_in_them_are_passed_over(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path, "g,s,t,l\n\nA,x,1,answer\n\nA,x,2,\n,,,\n"), COLUMNS)
    assert frame.select("template", "category").rows() == [("1", "answer"), ("2", None)]


def test_a_signal_of_two_groups_is_told_with_its_rows(tmp_path: Path) -> None:
    rows = "A,x,1,answer,m,\nB,y,1,answer,m,\nB,x,1,answer,n,\nA,x,1,answer,m,\nB,x,2,answer,m,\n"
    path = written(tmp_path, f"g,s,t,l,m,about\n{rows}")
    assert [line.split("table.csv: ")[1] for line in refused(path)] == [
        "row 3: s 'x' has g 'B', and 'A' in row 1; one signal points to one group"
    ]
    # Models are analysed one by one.
    with pytest.raises(InputError, match="row 5: s 'x' has g 'B', and 'A' in row 1; one signal"):
        read_table(path, {**COLUMNS, "model": "m"})
    path = written(tmp_path, "g,s,t,l,about\nA,x,1,answer,\nA,y,1,answer,A\n")
    with pytest.raises(InputError, match="row 2: t '1' has about 'A', and '' in row 1; one template has one"):
        read_table(path, {**COLUMNS, "target": "about"})


def test_a_wrong_column_does_not_flood_the_terminal(tmp_path: Path) -> None:
    rows = "".join(f"A,x,1,{number / 1000}\n" for number in range(500))
    told = refused(written(tmp_path, "g,s,t,l\n" + rows))
    assert len(told) == 11
    assert told[-1] == "... and 490 more mistakes"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"g,s,t,l\nA,x,1,answer,more\n", "table.csv:2: 5 fields, and the first line names 4 columns; write"),
        (b"g,s,t,l\nA,x,1,answer\nA,x,1\n", "table.csv:3: 3 fields, and the first line names 4 columns"),
        (b'g,s,t,l\nA,x,"1\n2",\n\nA\n', "table.csv:5: 1 field, and the first line names 4 columns"),
        (b"g;s;t;l\nA;x;1;answer\n", "table.csv:1: separated by semicolons; write commas"),
        ("g,s,t,l\nA,x,1,answer\n".encode("utf-16"), "the file is UTF-16; save it as UTF-8"),
        (b"g,s,t,l,l\nA,x,1,answer,refusal\n", "table.csv:1: columns of one name: l; give each a name"),
        (b"g,s,t,l\nA,x,1,\nA,x,1,\xff\xfe\n", "table.csv:3: not UTF-8; save the file as UTF-8"),
        (b"g,s,t,l\n", "no rows below the header"),
        (b"g,s,t,l\n\n", "no rows below the header"),
        (b'g,s,t,l\nA,"x,1,answer\n', "table.csv"),
    ],
)
def test_a_file_that_is_no_table_is_told_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    [line] = refused(path)
    assert line.startswith(f"{path}:")
    assert told in line


def test_an_absent_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        [line] = refused(path)
        assert line.startswith(f"{path}: cannot be read")
