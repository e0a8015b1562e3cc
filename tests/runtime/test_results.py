"""The one form of results and its three renderings."""

from cookseg.runtime.results import Table, as_html, as_markdown, as_text, grid, listed, page

TABLE = Table(
    ["class", "IoU", "support"],
    [["stirrer", "0.5", "1,000"], ["food|<b>", "0.25"], ["pan+background", "", "7"]],
    title="Scores",
    above="of 3 frames",
    below="n/a: no pixel",
)
FACTS = Table(rows=[["size", "1 MB"], ["note", "line one\nline two"]])


def test_text_stands_in_columns():
    assert as_text([TABLE]).splitlines() == [
        "Scores",
        "of 3 frames",
        "class            IoU  support",
        "--------------  ----  -------",
        "stirrer          0.5    1,000",
        "food|<b>        0.25",
        "pan+background              7",
        "n/a: no pixel",
    ]


def test_facts_keep_their_lines_below_each_other():
    assert as_text([FACTS]).splitlines() == ["size  1 MB", "note  line one", "      line two"]


def test_markdown_has_every_cell_and_escapes_bars():
    assert as_markdown([TABLE, FACTS], level=3).split("\n\n") == [
        "### Scores",
        "of 3 frames",
        "| class | IoU | support |\n| --- | ---: | ---: |\n| stirrer | 0.5 | 1,000 |\n| food\\|<b> | 0.25 |  |\n"
        "| pan+background |  | 7 |",
        "n/a: no pixel",
        "- size: 1 MB\n- note: line one line two",
    ]
    assert as_markdown([Table(["a", "max |b|"])]).splitlines()[0] == "| a | max \\|b\\| |"


def test_html_escapes_what_files_and_people_are_called():
    body = as_html([TABLE, FACTS])
    assert "food|&lt;b&gt;" in body
    assert "<b>" not in body
    assert body.count("<td>") == 9
    assert "<dd>line one\nline two</dd>" in body
    assert page("a & b", body).count("a &amp; b") == 2


def test_long_lists_say_how_many_more_and_no_name_commands_the_terminal():
    text = listed([f"{n}.jpg" for n in range(25)])
    assert text.splitlines()[-1] == "  and 5 more; --json has all"
    assert "\x1b" not in listed(["\x1b[31m.jpg"])


def test_a_table_without_rows_is_its_heading():
    assert grid([], ["class", "IoU"]) == "class  IoU\n-----  ---"
