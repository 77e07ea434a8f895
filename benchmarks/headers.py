"""How long a stage looks into DICOM files: the first time, and later, when what their headers say is known.

python benchmarks/headers.py [files] [work folder]
"""

import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file

from ssl_robust.data.manifest import data_settings, load_manifest


def write(root: Path, n: int) -> None:
    """Small CTs, ten for each patient."""
    scan = dcmread(str(get_testdata_file("CT_small.dcm")))
    for number in range(n):
        scan.PatientID = f"P{number // 10}"
        folder = root / f"{number // 1000}"
        folder.mkdir(parents=True, exist_ok=True)
        scan.save_as(folder / f"{number}.dcm")


def seconds(root: Path, cache: Path) -> float:
    """Of one reading of the manifest."""
    start = time.perf_counter()
    load_manifest(data_settings("folder", path=str(root), cache_dir=str(cache)))
    return time.perf_counter() - start


def main(n: int, work: str | None) -> None:
    """Print one line for each case."""
    warnings.filterwarnings("ignore", module="pydicom")
    with tempfile.TemporaryDirectory(dir=work) as place:
        root, cache = Path(place) / "scans", Path(place) / "cache"
        write(root, n)
        first, again = seconds(root, cache), seconds(root, cache)
        for number in range(n // 100):
            shutil.copy(root / f"{number // 1000}" / f"{number}.dcm", root / "0" / f"new{number}.dcm")
        grown = seconds(root, cache)
        kept = sum(file.stat().st_size for file in cache.iterdir())
    print(f"{n:,} DICOM files: first {first:.1f} s ({n / first:.0f}/s), again {again:.1f} s ({n / again:.0f}/s), "
          f"grown by 1 % {grown:.1f} s; {kept / n:.0f} bytes a file are kept")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000, sys.argv[2] if len(sys.argv) > 2 else None)
