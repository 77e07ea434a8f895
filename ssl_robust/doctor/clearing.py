"""`ssl-robust doctor clear-cache`: says what it would delete, and deletes it once it is told to."""

from __future__ import annotations

import sys
import time

from ssl_robust.data.cache import cache_directory
from ssl_robust.doctor.caches import DecodedSet, decoded_sets, delete
from ssl_robust.doctor.words import shown, size

_DAY = 86400


def clear_cache(setting: str | None, *, days: int | None, yes: bool) -> None:
    """List the decoded scans and delete them, where the user agrees.

    Args:
        setting: `data.cache_dir`; None: the folder that runs without it use.
        days: keep the sets that were used in these last days; None: keep none.
        yes: the user has agreed already; else a terminal is asked, and nothing is deleted where there is none.
    """
    folder, now = cache_directory(setting), time.time()
    sets = [each for each in decoded_sets(folder) if days is None or now - each.used > days * _DAY]
    if not sets:
        unused = "" if days is None else f" that was not used for {days} days"
        print(f"{shown(folder)} holds no set of decoded scans{unused}: nothing to delete")
        return
    print("\n".join([f"In {shown(folder)}:", *(_line(each, now) for each in sets)]))
    total = size(sum(each.n_bytes for each in sets))
    if yes or _agreed(len(sets), total):
        print(f"Deleted {_sets(len(sets))}, {size(delete(sets))}; they are decoded again when a run needs them")
    else:
        print(f"Nothing was deleted; the same command with yes=true frees {total}")


def _line(each: DecodedSet, now: float) -> str:
    return f"  {each.files[0].stem[:17]}…  {size(each.n_bytes):>9}  last used {_ago(now - each.used)}"


def _ago(seconds: float) -> str:
    days = int(seconds / _DAY)
    return "today" if days < 1 else "a day ago" if days == 1 else f"{days} days ago"


def _sets(n: int) -> str:
    return "1 set" if n == 1 else f"{n} sets"


def _agreed(n: int, total: str) -> bool:
    """Ask where somebody can answer."""
    return _somebody_is_there() and input(f"Delete {_sets(n)}, {total}? Type yes: ").strip().lower() == "yes"


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
