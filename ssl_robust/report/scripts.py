"""Scripts that a page carries, and the policy under which a browser runs these and nothing else."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from markupsafe import Markup


def read_script(*names: str) -> tuple[Markup, str]:
    """Files among the templates -> one text for a `<script>`, and its source for a Content-Security-Policy.

    Args:
        names: in the order in which they run.

    Returns:
        The text, beginning and ending with a line break; `'sha256-…'` of exactly this text.
    """
    folder = resources.files("ssl_robust.report") / "templates"
    text = "\n" + "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
    digest = hashlib.sha256(text.encode()).digest()
    return Markup(text), f"'sha256-{base64.b64encode(digest).decode()}'"
