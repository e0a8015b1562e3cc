"""The contact sheet: the frames that something was found in, worst first, each beside its mask laid over it."""

import base64
import html
import itertools
import textwrap
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cookseg.data.doctor.labels import outlines
from cookseg.data.doctor.masks import measure_mask
from cookseg.data.doctor.reading import Record
from cookseg.data.doctor.report import Report
from cookseg.data.doctor.survey import Survey
from cookseg.data.standard import Split
from cookseg.runtime.errors import ImageError, InputError, MaskError
from cookseg.runtime.files import write_atomically
from cookseg.runtime.imaging.images import UInt8Array, read_image
from cookseg.runtime.imaging.masks import colorize, overlay
from cookseg.runtime.progress import Progress, silent
from cookseg.runtime.results import Table, as_html, page

_MOST = 60  # frames on a sheet
_SIDE = 320  # longest side of a frame
_MARK = (255, 0, 255)
_INK, _MISSING, _PAPER = (40, 40, 40), 128, 245
_LINE = 16  # height of a line of text
_COLUMNS = 2


@dataclass(frozen=True)
class _Tile:
    title: str
    remarks: list[str]
    pixels: UInt8Array  # frame and overlay side by side


def require_sheet_suffix(path: Path | None) -> Path | None:
    """Return the path for a contact sheet.

    Raises:
        InputError: It is neither a PNG nor an HTML file.
    """
    if path and path.suffix.lower() not in (".png", ".html"):
        raise InputError(f"{path}: a contact sheet is a .png or .html file")
    return path


def write_sheet(path: Path, survey: Survey, report: Report, *, progress: Progress = silent) -> int:
    """Draw a contact sheet, as one HTML page with everything in it, or as one PNG.

    Where nothing was found, a sample of the dataset is drawn.

    Returns:
        The number of frames on the sheet.

    Raises:
        InputError: The file cannot be written.
    """
    ranked = _ranked(survey, report)
    if not ranked:
        labelled = [record for record in survey.records if record.mask] or survey.records
        ranked = [(record, ["nothing found"]) for record in labelled[:: -(-len(labelled) // 24) or 1]]
    more = len(ranked) - _MOST
    shown = ranked[:_MOST]
    tiles = [_tile(record, remarks, survey) for record, remarks in progress(shown, "drawing", len(shown))]
    note = f"{len(tiles)} frames, worst first" + (f"; {more} more have findings" if more > 0 else "")
    if path.suffix.lower() == ".png":
        sheet = cv2.cvtColor(_as_pixels(tiles, f"{survey.root.name}: {note}"), cv2.COLOR_RGB2BGR)
        write_atomically(path, cv2.imencode(".png", sheet)[1].tobytes())
    else:
        write_atomically(path, _as_page(tiles, report, note).encode())
    return len(tiles)


def _ranked(survey: Survey, report: Report) -> list[tuple[Record, list[str]]]:
    """Return each frame with what was found in it: errors first, then by the number of findings."""
    remarks = defaultdict(list)
    scores: dict[tuple[Split, str], int] = defaultdict(int)
    records = {(record.split, record.name): record for record in survey.records}
    for finding in report.findings:
        for row in finding.rows:
            if row.record:
                key = row.record.split, row.record.name
                pairs = zip(finding.check.columns[1:], row.cells[1:], strict=True)
                details = ", ".join(f"{column} {cell}".removeprefix("why ") for column, cell in pairs if cell != "")
                remarks[key].append(f"{finding.check.severity} {finding.name}" + (f": {details}" if details else ""))
                scores[key] += 1000 if finding.is_error else 1
    return [(records[key], remarks[key]) for key in sorted(scores, key=lambda key: -scores[key])]


def _tile(record: Record, remarks: list[str], survey: Survey) -> _Tile:
    """Draw a frame, and beside it its mask: over the frame where it fits, grey where there is none to see."""
    title = f"{record.split}/{record.name}"
    try:
        frame = _fit(read_image(record.image))
    except ImageError:
        frame = np.full((_SIDE * 3 // 4, _SIDE, 3), _MISSING, np.uint8)
    class_map = _class_map(record, survey)
    if class_map is None:
        return _Tile(title, remarks, np.hstack([frame, np.full_like(frame, _MISSING)]))
    small = np.asarray(cv2.resize(class_map, frame.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    fits = record.size == class_map.shape
    masked = overlay(frame, small, survey.classes) if fits else colorize(small, survey.classes)
    masked[outlines(small)] = _PAPER
    for x, y, width, height in record.label.specks if record.label else ():
        scale = frame.shape[1] / class_map.shape[1]
        center = round((x + width / 2) * scale), round((y + height / 2) * scale)
        cv2.circle(masked, center, 9, _MARK, 2, cv2.LINE_AA)
    return _Tile(title, remarks, np.hstack([frame, masked]))


def _class_map(record: Record, survey: Survey) -> UInt8Array | None:
    if record.mask:
        with suppress(ImageError, MaskError):
            return measure_mask(record.mask, survey.classes, survey.layout)[0]
    return None


def _fit(frame: UInt8Array) -> UInt8Array:
    """Scale a frame so that its longest side is that of all on the sheet."""
    scale = _SIDE / max(frame.shape[:2])
    size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(frame, size, interpolation=how), np.uint8)


def _as_pixels(tiles: list[_Tile], note: str) -> UInt8Array:
    width = 2 * _SIDE + _LINE
    blocks = [_block(tile, width) for tile in tiles]
    rows = [blocks[i : i + _COLUMNS] for i in range(0, len(blocks), _COLUMNS)]
    head = np.full((2 * _LINE, _COLUMNS * width, 3), _PAPER, np.uint8)
    _write(head, note, _LINE)
    return np.vstack([head, *(_beside(row, _COLUMNS * width) for row in rows)])


def _block(tile: _Tile, width: int) -> UInt8Array:
    lines = [tile.title, *itertools.chain.from_iterable(textwrap.wrap(remark, 88) for remark in tile.remarks)]
    height = tile.pixels.shape[0] + (len(lines) + 1) * _LINE
    block = np.full((height, width, 3), _PAPER, np.uint8)
    block[: tile.pixels.shape[0], : tile.pixels.shape[1]] = tile.pixels
    for number, line in enumerate(lines, 1):
        _write(block, line, tile.pixels.shape[0] + number * _LINE - 2)
    return block


def _beside(blocks: list[UInt8Array], width: int) -> UInt8Array:
    row = np.full((max(block.shape[0] for block in blocks), width, 3), _PAPER, np.uint8)
    left = 0
    for block in blocks:
        row[: block.shape[0], left : left + block.shape[1]] = block
        left += block.shape[1]
    return row


def _write(pixels: UInt8Array, text: str, baseline: int) -> None:
    """Write a line of text; OpenCV's own fonts know ASCII only."""
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(pixels, plain, (4, baseline), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)


def _as_page(tiles: list[_Tile], report: Report, note: str) -> str:
    figures = "".join(_figure(tile) for tile in tiles)
    tables = [finding.table() for finding in report.findings] or [Table(above="None.")]
    body = f"{_STYLE}\n<p>{html.escape(note)}</p>\n{figures}<h2>Findings</h2>\n{as_html(tables, level=3)}"
    return page(f"{report.dataset.name}: cook-data doctor", body)


def _figure(tile: _Tile) -> str:
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(tile.pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    data = base64.b64encode(jpeg.tobytes()).decode()
    remarks = "<br>".join(html.escape(remark) for remark in tile.remarks)
    title = html.escape(tile.title)
    return (
        f'<figure><img alt="{title}" src="data:image/jpeg;base64,{data}">'
        f"<figcaption><b>{title}</b><br>{remarks}</figcaption></figure>\n"
    )


_STYLE = f"""<style>
body {{ max-width: none }}
figure {{ display: inline-block; vertical-align: top; width: {2 * _SIDE}px; margin: 0 1em 1em 0 }}
figure img {{ max-width: 100% }}
td:not(:first-child), th:not(:first-child) {{ text-align: left }}
</style>"""
