"""Self-supervised pretraining, robust fine-tuning and label audits for medical images whose labels may be wrong.

    import ssl_robust as sr

    emb = sr.embed("runs/ssl", "scans.csv")
    table = sr.audit(emb)  # or sr.audit(vectors, labels, groups=patient_ids)
    scores = sr.probe(emb)  # or sr.probe(vectors, labels, splits=splits, groups=patient_ids)
    noisy = sr.corrupt(labels, kind="symmetric", rate=0.4, seed=0)

Names are loaded on first use, so that the import itself costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl_robust.api import audit, corrupt, embed, load_encoder, probe
    from ssl_robust.run import UserError

__all__ = ["UserError", "__version__", "audit", "corrupt", "embed", "load_encoder", "probe"]
__version__: str


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("ssl-robust")
        except metadata.PackageNotFoundError:
            return "0+uninstalled"
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "audit":  # the room is callable, see its __init__.py
        return import_module("ssl_robust.audit")
    return getattr(import_module("ssl_robust.run" if name == "UserError" else "ssl_robust.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
