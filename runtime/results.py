"""One form for whatever cookseg finds: values for machines, tables for people, and three ways to write these.

A result is a dataclass with `to_dict()`, which is what ``--json`` prints, and `tables()`, which `as_text` writes for a
terminal, `as_markdown` for a file beside others, and `as_html` for a page.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol


@dataclass(frozen=True)
class Table:
    """A table for people, with its words.

    Attributes:
        header: The heading of each column; empty for facts, which are a name and a text in each row.
        rows: Cells as text; a row may be shorter than the header. The first column is flush left, others flush right.
        title: Heading of the section.
        above: A paragraph before the table, or instead of one.
        below: A paragraph after it.
    """

    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    title: str = ""
    above: str = ""
    below: str = ""


class Result(Protocol):
    """Something that was found."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        ...

    def tables(self) -> Iterable[Table]:
        """Return it for people."""
        ...


def as_text(tables: Iterable[Table]) -> str:
    """Write tables for a terminal."""
    return "\n\n".join(
        "\n".join(filter(None, [table.title, table.above, grid(table.rows, table.header), table.below]))
        for table in tables
    )


def as_markdown(tables: Iterable[Table], level: int = 2) -> str:
    """Write tables as Markdown; titles are headings of the given level."""
    return "\n\n".join(part for table in tables for part in _markdown_parts(table, level))


def as_html(tables: Iterable[Table], level: int = 2) -> str:
    """Write tables as the body of a page; titles are headings of the given level."""
    return "\n".join(part for table in tables for part in _html_parts(table, level))


def page(title: str, body: str) -> str:
    """Return an HTML document that needs nothing else: ``title`` as text, ``body`` as HTML."""
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"{_STYLE}\n<h1>{escape(title)}</h1>\n{body}\n</html>\n"
    )


def grid(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Lay out text in columns; facts, which have no header, all flush left and with their lines below each other."""
    if not header:
        width = max((len(name) for name, _ in rows), default=0) + 2
        return "\n".join(name.ljust(width) + text.replace("\n", "\n" + " " * width) for name, text in rows)
    lines = [_filled(row, header) for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines
    )


def listed(lines: Sequence[str], most: int = 20) -> str:
    """List lines one below the other, and how many more there are."""
    shown = [f"  {visible(line)}" for line in lines[:most]]
    return "\n".join(shown if len(lines) <= most else [*shown, f"  and {len(lines) - most} more; --json has all"])


def visible(line: str) -> str:
    """Escape control characters, which file names may hold: each error is one line, and no terminal obeys it."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: repr(match[0])[1:-1], line)


def _filled(row: Sequence[str], header: Sequence[str]) -> list[str]:
    return [*row, *[""] * (len(header) - len(row))]


def _markdown_parts(table: Table, level: int) -> Iterable[str]:
    if table.title:
        yield f"{'#' * level} {table.title}"
    if table.above:
        yield table.above
    if table.header:
        rows = [table.header, *(_filled(row, table.header) for row in table.rows)]
        lines = [[cell.replace("|", "\\|") for cell in row] for row in rows]
        lines.insert(1, ["---", *["---:"] * (len(table.header) - 1)])
        yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    elif table.rows:
        yield "\n".join(f"- {name}: {' '.join(text.split())}" for name, text in table.rows)
    if table.below:
        yield table.below


def _html_parts(table: Table, level: int) -> Iterable[str]:
    if table.title:
        yield f"<h{level}>{escape(table.title)}</h{level}>"
    if table.above:
        yield f"<p>{escape(table.above)}</p>"
    if table.header:
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
        body = "\n".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _filled(row, table.header))}</tr>"
            for row in table.rows
        )
        yield f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    elif table.rows:
        facts = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in table.rows)
        yield f"<dl>{facts}</dl>"
    if table.below:
        yield f"<p>{escape(table.below)}</p>"


_STYLE = """<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto }
td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
td:not(:first-child), th:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums }
p, dd { white-space: pre-line } dt { font-weight: 600 }
</style>"""
