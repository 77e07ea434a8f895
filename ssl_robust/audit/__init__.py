"""Which labels are probably wrong: scores, their table, and the `audit` stage.

    table = sr.audit(vectors, labels, groups=patients)   # or sr.audit(sr.embed("runs/ssl", "scans.csv"))

gives a DataFrame with the columns `sample_id, label, suggested_label, score, p_mislabeled, rank, evidence, neighbors`,
rank 1 = look first; `help(ssl_robust.api.audit)` has all arguments.

As `sr.audit(vectors, labels, groups=patients)` this room is also the function of the Python API,
`ssl_robust.api.audit`: Python binds an imported sub-package to its name in the package, so that a function of the
same name would be lost as soon as anything imports `ssl_robust.audit.table`. The module itself is callable instead.
"""

import sys
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    def __call__(self, vectors: Any, labels: Any = None, *, groups: Any = None, ids: Any = None, **options: Any) -> Any:
        """See `ssl_robust.api.audit`."""
        from ssl_robust.api import audit

        return audit(vectors, labels, groups=groups, ids=ids, **options)


sys.modules[__name__].__class__ = _CallableModule
