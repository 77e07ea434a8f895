"""Do damaged scans ever crash, hang or exhaust the reader? Valid small files of every kind, damaged at random.

    OMP_NUM_THREADS=1 python benchmarks/fuzz_scans.py [--n 50000] [--seed 0] [--keep fuzz-failures]

Each input is read as a stage reads it, in a process of its own kind: its contents, then up to four of its scans. Read
or refused by an exception is right. A signal, more than `--seconds` for one input, an exhausted memory (4 GiB), an
exception that is no Exception, or pixels of a wrong type or shape is a failure: the input is kept and the exit code is
1. Input number i of a seed is always the same.
"""

from __future__ import annotations

import argparse
import gzip
import io
import queue
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np

GREY = np.add.outer(np.arange(24), 9 * np.arange(20)).astype(np.uint8)
COLOR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
DEEP = GREY.astype(np.uint16) * 150
EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
MEMORY = 4 * 2**30


def valid() -> list[tuple[str, bytes]]:
    """Endings and bytes of undamaged files."""
    from PIL import Image

    def picture(kind: str, *arrays: np.ndarray, mode: str | None = None, **options: object) -> bytes:
        first, *others = [Image.fromarray(array) for array in arrays]
        out = io.BytesIO()
        more = {"save_all": True, "append_images": others} if others else {}
        (first.convert(mode) if mode else first).save(out, kind, **more, **options)
        return out.getvalue()

    found = [(".png", picture("PNG", array)) for array in (GREY, COLOR, DEEP, GREY > 99)]
    found += [(".png", picture("PNG", COLOR, mode=mode)) for mode in ("P", "RGBA", "LA")]
    found += [(".png", picture("PNG", GREY, GREY[::-1], GREY.T))]
    found += [(".jpg", picture("JPEG", GREY)), (".jpg", picture("JPEG", COLOR, progressive=True))]
    found += [(".jpg", picture("JPEG", COLOR, mode="CMYK")), (".bmp", picture("BMP", COLOR))]
    found += [(".webp", picture("WEBP", COLOR)), (".webp", picture("WEBP", COLOR, COLOR[::-1], lossless=True))]
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        for array in (GREY, COLOR, DEEP, GREY.astype(np.float32), GREY.astype(np.int32)):
            found.append((".tif", picture("TIFF", array, compression=compression)))
    found += [
        (".tif", picture("TIFF", GREY > 99, compression="group4")),
        (".tif", picture("TIFF", COLOR, compression="jpeg")),
    ]
    found += [(".tif", picture("TIFF", GREY.astype(np.float32), DEEP, COLOR))]
    return found + volumes() + (dicoms() if find_spec("ssl_robust.data.formats.dicom") else [])


def volumes() -> list[tuple[str, bytes]]:
    import nibabel

    turned = np.array([[0, -1.0, 0, 0], [0, 0, 2, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    found = []
    for values in (DEEP[..., None] + np.arange(6), np.stack([DEEP] * 4, -1)[:, :, None], GREY[..., None] + np.zeros(5)):
        for dtype in (np.uint8, np.int16, np.float32):
            for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
                raw = kind(values.astype(dtype), turned).to_bytes()
                found += [(".nii", raw), (".nii.gz", raw)]
    return found


def dicoms() -> list[tuple[str, bytes]]:
    from pydicom.data import get_testdata_file

    names = ("CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "examples_palette.dcm")
    paths = [get_testdata_file(name, download=False) for name in names]
    small = [Path(str(path)).read_bytes() for path in paths if path is not None]
    return [(".dcm", raw) for raw in small if len(raw) < 200_000]


def damaged(files: list[tuple[str, bytes]], seed: int, number: int) -> tuple[str, bytes]:
    rng = np.random.default_rng([seed, number])
    ending, raw = files[int(rng.integers(len(files)))]
    within = ending != ".nii.gz" or rng.random() < 0.7  # before or after packing
    data = bytearray(raw if within else gzip.compress(raw, mtime=0))
    for _ in range(int(rng.integers(1, 5))):
        _damage(data, rng)
    if ending == ".png" and rng.random() < 0.7:
        data = _checksummed(data)
    return ending, gzip.compress(data, 1, mtime=0) if ending == ".nii.gz" and within else bytes(data)


def _damage(data: bytearray, rng: np.random.Generator) -> None:
    """One flip, cut, insertion, copy, or number in place of another; most often among the first bytes."""
    if not data:
        return
    front = rng.random() < 0.7
    at = int(rng.integers(min(len(data), 600) if front else len(data)))
    length = int(rng.integers(1, 40))
    match int(rng.integers(7)):
        case 0:
            data[at] ^= 1 << int(rng.integers(8))
        case 1:
            data[at : at + length] = rng.bytes(min(length, len(data) - at))
        case 2:
            del data[int(rng.integers(len(data))) :]
        case 3:
            del data[at : at + length]
        case 4:
            data[at:at] = rng.bytes(length)
        case 5:
            data[at:at] = data[at : at + length * 10]
        case _:
            size = int(rng.choice([1, 2, 4, 8]))
            value = EDGES[int(rng.integers(len(EDGES)))] % 256**size
            data[at : at + size] = value.to_bytes(size, "little" if rng.random() < 0.5 else "big")


def _checksummed(data: bytearray) -> bytearray:
    """A PNG whose chunks have the right checksums again, so that damage gets further."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return data


def outcome(path: Path) -> str:
    """`ok`, or why the file was refused; `FAILED …` for what must not happen."""
    from ssl_robust.data.formats.known import format_of
    from ssl_robust.data.formats.rules import Rules
    from ssl_robust.data.scans import read_scan

    rules = Rules(body=0.01) if path.stat().st_size % 2 else Rules(axis="sagittal", step=2)
    try:
        parts = format_of(path).contents(path, rules).parts
        for part in parts[:2] + parts[-2:]:
            pixels = read_scan(path, part, rules)
            if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
                return f"FAILED: {pixels.dtype} pixels of shape {pixels.shape}"
    except MemoryError as error:
        return f"FAILED: MemoryError {error}".splitlines()[0]
    except Exception as error:
        return type(error).__name__
    except BaseException as error:
        return f"FAILED: {type(error).__name__}"
    return "ok" if parts else "nothing held"


def child(seed: int, start: int, n: int, folder: Path) -> None:
    """Read inputs one after another; a line for each, so that whoever waits knows where it ended."""
    import resource
    import warnings

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    files = valid()
    for number in range(start, n):
        ending, raw = damaged(files, seed, number)
        path = folder / f"scan{ending}"
        path.write_bytes(raw)
        print(number, ending, outcome(path), flush=True)


def fuzz(n: int, seed: int, seconds: float, keep: Path) -> tuple[Counter[tuple[str, str]], list[str]]:
    """How often each kind of file ended how, and what went wrong."""
    counts: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    start = 0
    with tempfile.TemporaryDirectory() as folder:
        while start < n:
            command = [
                sys.executable,
                __file__,
                "--child",
                folder,
                "--n",
                str(n),
                "--seed",
                str(seed),
                "--start",
                str(start),
            ]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            lines: queue.Queue[str] = queue.Queue()
            threading.Thread(target=_pour, args=(process.stdout, lines), daemon=True).start()
            problem, wait = "", seconds + 60  # the first one waits for the imports
            while start < n:
                try:
                    line = lines.get(timeout=wait)
                except queue.Empty:
                    problem = f"no answer within {seconds:g} s"
                    break
                if not line:
                    problem = f"ended with code {process.wait()}"
                    break
                number, ending, said = line.rstrip("\n").split(" ", 2)
                counts[ending, said.split(":")[0]] += 1
                if said.startswith("FAILED"):
                    failures.append(_kept(seed, int(number), said, keep))
                start, wait = int(number) + 1, seconds
            process.kill()
            process.wait()
            if problem:
                failures.append(_kept(seed, start, problem, keep))
                counts["?", problem] += 1
                start += 1
                if len(failures) > 20:
                    break
    return counts, failures


def _pour(stream, lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def _kept(seed: int, number: int, problem: str, keep: Path) -> str:
    ending, raw = damaged(valid(), seed, number)
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / f"{seed}-{number}{ending}"
    path.write_bytes(raw)
    return f"{path}: {problem}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0, help="limit for one input")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.seed, options.start, options.n, options.child)
        return 0
    began = time.perf_counter()
    counts, failures = fuzz(options.n, options.seed, options.seconds, options.keep)
    for (ending, said), count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1])):
        print(f"{ending:8} {said:24} {count:7,}")
    print(f"{sum(counts.values()):,} inputs in {time.perf_counter() - began:.0f} s, {len(failures)} failures")
    print(*failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
