"""Figures as Markdown: a table of rows, the paper's beside them, and how they came about."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .compared import compared_lines
from .metrics.table import METRICS, Row, cell
from .report import Report

PAPER = Path(__file__).with_name("paper.json")
LEGACY_NOTE = (
    "The paper's PSNR is that of this field's tables, whose formula overflows (see "
    "`psnr_uint8_legacy`): compare it with that column, not with PSNR."
)


def paper_rows(table: str) -> tuple[str, dict[str, Row]]:
    """Return title and rows of a table of the paper: ubc, tiktok or ablation."""
    tables = json.loads(PAPER.read_text(encoding="utf-8"))
    return tables[table]["title"], tables[table]["rows"]


def paper_source() -> str:
    """Return where the paper's figures stand."""
    return json.loads(PAPER.read_text(encoding="utf-8"))["source"]


def as_markdown(report: Report) -> str:
    """Return the table of a report, the paper's row beside ours, and its protocol."""
    rows = {way: measured.mean for way, measured in report.rows.items()}
    notes = []
    if report.protocol.paper is not None:
        title, theirs = paper_rows(report.protocol.paper)
        source = paper_source()
        rows |= {f"{name} (paper, {title})": row for name, row in theirs.items()}
        notes = [f"Paper: {source}. {LEGACY_NOTE}", ""]
    columns = [
        name for name in report.protocol.metrics if any(name in row for row in rows.values())
    ]
    return "\n".join([table(rows, columns), "", *notes, *_record(report)])


def table(
    rows: Mapping[str, Row],
    columns: Sequence[str],  # names of METRICS
    errors: Mapping[str, Row] | None = None,  # standard errors, of some rows
) -> str:
    """Return one line per row."""
    lines = [
        _line(["", *(METRICS[name].title for name in columns)]),
        "|" + " --- |" * (1 + len(columns)),
    ]
    for title, row in rows.items():
        error = (errors or {}).get(title)
        lines.append(_line([title, *(cell(name, row, error) for name in columns)]))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def compare(
    rows: Mapping[str, Row],  # measured models by name; those of Table 3 by its names
    errors: Mapping[str, Row] | None = None,  # their standard errors
) -> str:
    """Return measured models beside the paper's Table 3, each row with the paper's of its name.

    The paper's figures are of UBC Fashion at full size: the order may agree, values cannot.
    """
    title, theirs = paper_rows("ablation")
    ours = [name for name in METRICS if any(name in row for row in rows.values())]
    paper = [name for name in METRICS if any(name in row for row in theirs.values())]
    header = ["", *(METRICS[n].title for n in ours), *(f"paper: {METRICS[n].title}" for n in paper)]
    lines = [_line(header), "|" + " --- |" * len(header)]
    for name, row in rows.items():
        error = (errors or {}).get(name)
        cells = [cell(column, row, error) for column in ours]
        cells += [cell(column, theirs.get(name, {})) for column in paper]
        lines.append(_line([name, *cells]))
    return "\n".join([*lines, "", f"Paper: {paper_source()}, {title}. {LEGACY_NOTE}"])


def compare_data(
    rows: Mapping[str, Row], errors: Mapping[str, Row] | None = None
) -> dict[str, Any]:
    """Return the same as values for JSON."""
    title, theirs = paper_rows("ablation")
    return {
        "rows": dict(rows),
        "standard_errors": dict(errors or {}),
        "paper": {"source": paper_source(), "table": title, "rows": theirs},
    }


def _record(report: Report) -> list[str]:
    """Return what the figures depend on, one line each."""
    protocol = report.protocol
    data = protocol.data()
    lines = [f"Protocol `{protocol.name}`: {protocol.title}."]
    for name in data:
        if name not in ("name", "title", "metrics", "paper"):
            lines.append(f"- {name}: {_value(data[name])}")
    if report.changed:
        lines += ["", "Not as the protocol says; these figures compare only with their like:"]
        for name, (usual, here) in report.changed.items():
            lines.append(f"- {name}: {_value(here)} (protocol: {_value(usual)})")
    lines += ["", *(f"- {name}: {_value(value)}" for name, value in report.made.items())]
    lines += [f"- {name}: {value}" for name, value in report.instruments.items()]
    if report.compared:
        lines += ["", *compared_lines(report.compared)]
    lines += _absent(report.absent)
    return lines + _partial(report)


def _absent(absent: Mapping[str, str]) -> list[str]:
    """Return one line per reason, with all the figures that it keeps away."""
    reasons: dict[str, list[str]] = {}
    for metric, why in absent.items():
        reasons.setdefault(why, []).append(METRICS[metric].title)
    return ["", *(f"Not measured: {', '.join(m)}. {why}" for why, m in reasons.items())]


def _partial(report: Report) -> list[str]:
    """Return a line per figure that only some clips have."""
    pieces = {n: p for measured in report.rows.values() for n, p in measured.pieces.items() if p}
    lines = [
        f"{METRICS[name].title} goes over {count} pieces of clips; it falls with their number."
        for name, count in pieces.items()
    ]
    for way, measured in report.rows.items():
        for name, count in measured.count.items():
            if count < len(measured.clips):
                clips = f"{count} of {len(measured.clips)} clips"
                lines.append(f"{METRICS[name].title} of {way}: over {clips}.")
    return lines


def _value(value: object) -> str:
    if value is None:
        return "all"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        if len(value) > 2 and list(value) == list(range(len(value))):
            return f"0 to {len(value) - 1}"
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
