"""The steps of the weather flow, as plain functions: from hourly temperatures to one report on a year.

The Python flow (flow.py) and the YAML flow (flow.yaml, which carries this file) are made of the same functions.
They use the standard library alone, so that they run in the bare runtime image.
"""

import base64
import csv
import gzip
import hashlib
import io
import json
import os
import socket
import statistics
from collections import defaultdict
from pathlib import Path

import flowkiln
from flowkiln.utilities.logging import get_run_logger

HERE = Path(__file__).parent
PLAIN = HERE / "data" / "seattle-temps.csv"
PACKED = HERE / "seattle-temps.csv.gz.b64"
"""The same file, small enough for a Flow's source: there a worker has nothing but what the Flow brings."""

SHA256 = "c220666521ff4bec4ffb6f0d9acfdc5c1056564b1aad6f78d3b06aa0a0c8b085"


def read_data() -> bytes:
    """Return the CSV file: a header `date,temp`, then a reading for each hour, `2010/01/01 00:00,39.4` (Fahrenheit)."""
    if PLAIN.exists():
        return PLAIN.read_bytes()
    return gzip.decompress(base64.b64decode(PACKED.read_text()))


def verify() -> dict:
    """Make sure that the data are what they were when this example was written.

    The first attempt always fails, on purpose, to show a retry while the rest of the flow goes on.
    """
    if flowkiln.context.task_run_count == 1:
        raise ConnectionError("no answer (this example fails here on purpose, on the first attempt)")
    digest = hashlib.sha256(read_data()).hexdigest()
    if digest != SHA256:
        raise ValueError(f"the data have the SHA-256 {digest}, not {SHA256}")
    return {"sha256": digest, "attempt": flowkiln.context.task_run_count}


def extract(year: int) -> list:
    """Return the readings of a year, as one element for each month: {"month": "2010-01", "fahrenheit": [39.4, ...]}."""
    months = defaultdict(list)
    for row in csv.DictReader(io.StringIO(read_data().decode())):
        if row["date"].startswith(f"{year:04}/"):
            months[row["date"][:7].replace("/", "-")].append(float(row["temp"]))
    if not months:
        raise ValueError(f"no readings in {year}: the data cover 2010")
    return [{"month": month, "fahrenheit": readings} for month, readings in sorted(months.items())]


def summarise(month: dict, unit: str) -> dict:
    """Lowest, mean and highest temperature of one month in `unit`, its trend, and where this was computed."""
    degrees = month["fahrenheit"]
    if unit == "celsius":
        degrees = [(degree - 32) / 1.8 for degree in degrees]
    return {
        "month": month["month"],
        "readings": len(degrees),
        "low": min(degrees),
        "mean": statistics.fmean(degrees),
        "high": max(degrees),
        "trend": trend(degrees),
        "pod": os.environ.get("FLOWKILN_POD_NAME") or socket.gethostname(),
        "pid": os.getpid(),
    }


def trend(degrees: list) -> float:
    """Degrees per day by which a month gets warmer: the median slope of all pairs of its hourly readings (Theil, Sen).

    There are a quarter of a million pairs, so this is what the workers have to do.
    """
    slopes = [
        (later - earlier) / hours
        for place, earlier in enumerate(degrees)
        for hours, later in enumerate(degrees[place + 1 :], start=1)
    ]
    return 24 * statistics.median(slopes)


def combine(summaries: list) -> dict:
    """Reduce the months to the year: the same figures, the extreme months, and the months themselves."""
    readings = sum(month["readings"] for month in summaries)
    return {
        "readings": readings,
        "low": min(month["low"] for month in summaries),
        "mean": sum(month["mean"] * month["readings"] for month in summaries) / readings,
        "high": max(month["high"] for month in summaries),
        "coldest": min(summaries, key=lambda month: month["mean"])["month"],
        "warmest": max(summaries, key=lambda month: month["mean"])["month"],
        "months": summaries,
    }


def report(summary: dict, verified: dict, unit: str, output: str) -> dict:
    """Write a table (Markdown and CSV) and a plot (SVG) into the folder `output`.

    The figures are returned too, and logged as one line of JSON, for whoever cannot see that folder.
    """
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    files = {"table.md": as_markdown(summary, unit), "table.csv": as_csv(summary), "plot.svg": as_svg(summary, unit)}
    for name, text in files.items():
        (folder / name).write_text(text)
    outcome = {"unit": unit, **summary, "verified": verified, "files": [str(folder / name) for name in files]}
    get_run_logger().info("weather report: %s", json.dumps(outcome, sort_keys=True))
    get_run_logger().info("the tables and the plot are in %s", folder)
    return outcome


def as_markdown(summary: dict, unit: str) -> str:
    """Return the table for people, in degrees with two decimals."""
    lines = [
        f"Temperatures in degrees {unit}; trend in degrees a day.",
        "",
        "| month | readings | low | mean | high | trend |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in [*summary["months"], {**summary, "month": "year"}]:
        cells = [row["month"], str(row["readings"]), *(f"{row[name]:.2f}" for name in ("low", "mean", "high"))]
        cells.append(f"{row['trend']:+.2f}" if "trend" in row else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def as_csv(summary: dict) -> str:
    """Return the table for programs, unrounded."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["month", "readings", "low", "mean", "high", "trend"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(summary["months"])
    return text.getvalue()


def as_svg(summary: dict, unit: str) -> str:
    """Return a plot: for each month a bar from the lowest to the highest temperature, and the mean as a dot."""
    width, height, margin, step = 640, 320, 40, 46
    low, high = summary["low"], summary["high"]

    def y(degrees: float) -> float:
        return margin + (high - degrees) / (high - low) * (height - 2 * margin)

    marks = []
    for place, month in enumerate(summary["months"]):
        x = margin + 30 + place * step
        marks.append(
            f'<line x1="{x}" x2="{x}" y1="{y(month["low"]):.1f}" y2="{y(month["high"]):.1f}"'
            ' stroke="#9cc4e4" stroke-width="18"/>'
            f'<circle cx="{x}" cy="{y(month["mean"]):.1f}" r="4" fill="#c0392b"/>'
            f'<text x="{x}" y="{y(month["mean"]) - 8:.1f}" text-anchor="middle">{month["mean"]:.1f}</text>'
            f'<text x="{x}" y="{height - 14}" text-anchor="middle">{month["month"][5:]}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        f' font-size="11"><rect width="{width}" height="{height}" fill="white"/>'
        f'<text x="{margin}" y="22" font-size="14">Seattle {summary["months"][0]["month"][:4]}: lowest, mean and'
        f" highest temperature (degrees {unit})</text>{''.join(marks)}</svg>\n"
    )
