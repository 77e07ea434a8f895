"""The frame of every page: which builder fits the stage, the template, the file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ssl_robust.run import UserError, read_run, replacing

# One module and one template each.
_BUILDERS = (
    "audit",
    "check",
    "demo",
    "finetune",
    "predict",
    "pretrain",
    "probe",
    "relabel",
    "simulate",
    "study",
    "train",
)
_ESCAPES = {"\\": "\\\\", "&": "&amp;", "<": "&lt;", ">": "&gt;", **{each: f"\\{each}" for each in "`*_{}[]|#~!"}}


def render_page(run_directory: Path) -> Path | None:
    """See `ssl_robust.report.render`."""
    run = read_run(run_directory)
    if run["stage"] not in _BUILDERS:
        return None
    from jinja2 import Environment, PackageLoader, StrictUndefined

    builder = importlib.import_module(f"ssl_robust.report.{run['stage']}")
    try:
        values: dict[str, Any] = builder.build(run_directory, run)
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing, so there is no report; run the stage again") from None
    environment = Environment(
        loader=PackageLoader("ssl_robust.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number, percent=percent)
    text = environment.get_template(f"{run['stage']}.html").render(run=run, **values)
    page = run_directory / "report.html"
    with replacing(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    if f"{run['stage']}.md" in environment.list_templates():
        _write_markdown(run_directory / "report.md", environment, run, values)
    return page


def _write_markdown(path: Path, environment: Any, run: dict[str, Any], values: dict[str, Any]) -> None:
    """The same values through `<stage>.md`; its escapes are Markdown's, of every value that is put in."""
    overlay = environment.overlay(finalize=escape_markdown)
    with replacing(path) as temporary:
        temporary.write_text(overlay.get_template(f"{run['stage']}.md").render(run=run, **values), encoding="utf-8")


def escape_markdown(value: object) -> object:
    """A text with what means something in Markdown, or in the HTML that it becomes, escaped; on one line."""
    from markupsafe import Markup

    if not isinstance(value, str) or hasattr(value, "__html__"):  # what a macro made is escaped already
        return value
    flat = " ".join(value.split())
    for text, escaped in _ESCAPES.items():
        flat = flat.replace(text, escaped)
    return Markup(flat)


def number(value: float | None, digits: int = 3) -> str:
    """`0.912`; a dash where there is nothing."""
    if value is None or value != value:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 0) -> str:
    """`12 %`; a dash where there is nothing."""
    return "–" if value is None or value != value else f"{100 * value:.{digits}f} %"
