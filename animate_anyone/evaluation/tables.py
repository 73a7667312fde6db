"""Figures as Markdown: a table with the paper's rows, and how the figures were measured."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .compared import compared_lines
from .metrics.table import METRICS, Row, cell
from .protocol import Protocol, load_protocol
from .report import Report

PAPER = Path(__file__).with_name("paper.json")
LEGACY_NOTE = (
    "The paper's PSNR uses the formula of this field's tables, which overflows (see "
    "`psnr_uint8_legacy`): compare it with that column, not with PSNR."
)
NOT_COMPARABLE = "not comparable"
# Fields of a protocol on which a figure of the paper's table depends.
_COUNTED = ("clips", "width", "height", "fit", "frames", "stride", "ssim", "resize", "weighted")
_TESTED = ("clips", "first", "frames", "fit", "frames of clips")  # changes that are another test
_OF_DISCO = (
    "What stays open beside the paper's row: DisCo's script has the network of FVD from another "
    "file (i3d_pretrained_400.pt), its first version read FVD's pieces from GIF files, and at what "
    "size the paper's clips were compared is not published."
)


def paper_rows(table: str) -> tuple[str, dict[str, Row]]:
    """Return title and rows of a table of the paper: ubc, tiktok or ablation."""
    tables = json.loads(PAPER.read_text(encoding="utf-8"))
    return tables[table]["title"], tables[table]["rows"]


def paper_source() -> str:
    """Return the source of the paper's figures."""
    return json.loads(PAPER.read_text(encoding="utf-8"))["source"]


def as_markdown(report: Report) -> str:
    """Return a report's table with the paper's rows, and its protocol."""
    rows = {way: measured.mean for way, measured in report.rows.items()}
    notes = []
    if report.protocol.paper is not None:
        title, theirs = paper_rows(report.protocol.paper)
        why = not_comparable(report.protocol, report.changed)
        mark = f": {NOT_COMPARABLE}" if why else ""
        rows |= {f"{name} (paper, {title}){mark}": row for name, row in theirs.items()}
        notes = [f"Paper: {paper_source()}. {LEGACY_NOTE}", _comparison(report.protocol, why), ""]
    columns = [
        name for name in report.protocol.metrics if any(name in row for row in rows.values())
    ]
    return "\n".join([table(rows, columns), "", *notes, *_record(report)])


def not_comparable(
    protocol: Protocol,
    changed: Mapping[str, tuple[Any, Any]],  # as `Report.changed`
) -> list[str]:
    """Return the reasons why figures cannot be compared with those of the protocol's paper table.

    Each is a phrase; none means that they can.
    """
    assert protocol.paper is not None
    theirs = json.loads(PAPER.read_text(encoding="utf-8"))[protocol.paper]["protocol"]
    if theirs is None:
        return ["the paper does not say by which script, and at which size, its own were computed"]
    rule = load_protocol(theirs)
    found = [
        f"{name} is {_value(getattr(protocol, name))} and not {_value(getattr(rule, name))}"
        for name in _COUNTED
        if getattr(protocol, name) != getattr(rule, name)
    ]
    for name in ("lpips", "fvd"):
        ours, true = (dict(_fields(getattr(each, name))) for each in (protocol, rule))
        unlike = [key for key in true if ours[key] != true[key]]
        here, there = (_value({key: each[key] for key in unlike}) for each in (ours, true))
        if unlike:
            found.append(f"{METRICS[name].title} has {here} and not {there}")
    return found + [
        f"{name} is {_value(here)} and not {_value(usual)}"
        for name, (usual, here) in changed.items()
        if name in _TESTED
    ]


def _fields(record: object) -> dict[str, Any]:
    return vars(record)


def _comparison(protocol: Protocol, why: list[str]) -> str:
    """Return whether figures can be compared with the paper's row, in words."""
    if not why:
        return f"This protocol computes the figures as those of the paper's row. {_OF_DISCO}"
    text = f"The paper's row is {NOT_COMPARABLE} with these figures: {'; '.join(why)}."
    other = protocol.name != "disco" and protocol.paper == "tiktok"
    return text + (" `--protocol disco` computes them as the paper's." if other else "")


def table(
    rows: Mapping[str, Row],
    columns: Sequence[str],  # names of METRICS
    errors: Mapping[str, Row] | None = None,  # standard errors of some rows
) -> str:
    """Return a Markdown table with one line per row."""
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
    rows: Mapping[str, Row],  # measured models by name; names of Table 3 are matched with its rows
    errors: Mapping[str, Row] | None = None,  # their standard errors
) -> str:
    """Return a table of measured models, beside each the row of the paper's Table 3 of its name.

    The paper's figures are for UBC Fashion at full size: only the order of rows can be compared.
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
    order = f"Its figures are {NOT_COMPARABLE} with these; only the order of the rows is."
    return "\n".join([*lines, "", f"Paper: {paper_source()}, {title}. {order} {LEGACY_NOTE}"])


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
    """Return the settings on which the figures depend, one per line."""
    protocol = report.protocol
    data = protocol.data()
    lines = [f"Protocol `{protocol.name}`: {protocol.title}."]
    for name in data:
        if name not in ("name", "title", "metrics", "paper"):
            lines.append(f"- {name}: {_value(data[name])}")
    if report.changed:
        lines += ["", "Changed from the protocol; compare only with results of the same changes:"]
        for name, (usual, here) in report.changed.items():
            lines.append(f"- {name}: {_value(here)} (protocol: {_value(usual)})")
    lines += ["", *(f"- {name}: {_value(value)}" for name, value in report.made.items())]
    lines += [f"- {name}: {value}" for name, value in report.instruments.items()]
    if report.compared:
        lines += ["", *compared_lines(report.compared)]
    lines += _absent(report.absent)
    return lines + _partial(report)


def _absent(absent: Mapping[str, str]) -> list[str]:
    """Return one line per reason, with all metrics that were not measured for it."""
    reasons: dict[str, list[str]] = {}
    for metric, why in absent.items():
        reasons.setdefault(why, []).append(METRICS[metric].title)
    return ["", *(f"Not measured: {', '.join(m)}. {why}" for why, m in reasons.items())]


def _partial(report: Report) -> list[str]:
    """Return a line per set metric with its number of pieces, and per metric that clips lack."""
    lines = [
        f"{METRICS[name].title} uses {counts} pieces of clips; with more pieces it becomes lower."
        for name, counts in _pieces(report).items()
    ]
    for way, measured in report.rows.items():
        for name, count in measured.count.items():
            if count < len(measured.clips):
                clips = f"{count} of {len(measured.clips)} clips"
                lines.append(f"{METRICS[name].title} of {way}: over {clips}.")
    return lines


def _pieces(report: Report) -> dict[str, str]:
    """Return the number of pieces of each set metric, by row where rows differ."""
    by_metric: dict[str, dict[str, int]] = {}
    for way, measured in report.rows.items():
        for name, count in measured.pieces.items():
            by_metric.setdefault(name, {})[way] = count
    return {
        name: str(next(iter(counts.values())))
        if len({*counts.values()}) == 1
        else ", ".join(f"{count} ({way})" for way, count in counts.items())
        for name, counts in by_metric.items()
        if any(counts.values())
    }


def _are_consecutive(values: Sequence[Any]) -> bool:
    """Return whether these are more than two whole numbers without a gap."""
    whole = len(values) > 2 and all(isinstance(value, int) for value in values)
    return whole and list(values) == list(range(values[0], values[0] + len(values)))


def _value(value: object) -> str:
    if value is None:
        return "all"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        if _are_consecutive(value):
            return f"{value[0]} to {value[-1]}"
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
