"""Self-contained pages from the templates."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, content: Mapping[str, Any]) -> str:
    """A page from its content; a name that the template knows and the content lacks is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = format_duration
    environment.filters["thousands"] = lambda number: f"{number:,}".replace(",", "\u202f")
    style = markupsafe.Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(style=style, **content)


def format_duration(seconds: float) -> str:
    """Seconds as a reader says them: 45 s, 12 min, 3.4 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def inline_svg(path: Path) -> str:
    """An SVG file as the address of an image."""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
