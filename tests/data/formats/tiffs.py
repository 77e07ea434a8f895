"""Writes TIFFs of kinds that Pillow does not write, and 16-bit PNGs in colour."""

import struct
import zlib

import numpy as np

BITS, COMPRESSION, PHOTOMETRIC, PLANAR, EXTRA, FORMAT = 258, 259, 262, 284, 338, 339
_FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(*pages, order="<", white=False, planar=False, deflate=False, bits=None, **tags):
    """Pages (H, W) or (H, W, C), C of 4 with alpha -> bytes; `tags` are `t<number>=value`."""
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8))
    for number, page in enumerate(pages):
        page = page[..., None] if page.ndim == 2 else page
        height, width, samples = page.shape
        planes = [page[..., c] for c in range(samples)] if planar else [page]
        data = [
            _packed12(plane) if bits == 12 else plane.astype(page.dtype.newbyteorder(order)).tobytes()
            for plane in planes
        ]
        data = [zlib.compress(each) for each in data] if deflate else data
        fields = {
            256: width, 257: height, 277: samples, 278: height, 279: [len(each) for each in data],
            BITS: [bits or 8 * page.dtype.itemsize] * samples, COMPRESSION: 8 if deflate else 1,
            PHOTOMETRIC: 2 if samples > 2 else 0 if white else 1, PLANAR: 2 if planar else 1,
            FORMAT: [_FORMATS[page.dtype.kind]] * samples,
        }  # fmt: skip
        if samples == 4:
            fields[EXTRA] = 2
        fields |= {int(name[1:]): value for name, value in tags.items()}
        out += _directory(fields, data, len(out), order, last=number == len(pages) - 1)
    return bytes(out)


def _directory(fields, data, start, order, *, last):
    """One page: its directory, the values that do not fit into it, its pixels."""
    count = len(fields) + 1
    extra = start + 2 + 12 * count + 4
    tail, entries = b"", []
    sizes = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    room = (
        extra
        + sum(4 * len(values) for values in sizes.values() if len(values) > 1)
        + (4 * len(data) if len(data) > 1 else 0)
    )
    offsets = [room + sum(len(each) for each in data[:k]) for k in range(len(data))]
    for name, values in sorted({**sizes, 273: offsets}.items()):
        kind, letter = (4, "I") if name in (256, 257, 273, 278, 279) else (3, "H")
        raw = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(raw) > 4:
            entry, tail = struct.pack(f"{order}I", extra + len(tail)), tail + raw.ljust(4 * len(values), b"\0")
        else:
            entry = raw.ljust(4, b"\0")
        entries.append(struct.pack(f"{order}HHI", name, kind, len(values)) + entry)
    tail = tail.ljust(room - extra, b"\0")
    end = room + sum(map(len, data))
    following = struct.pack(f"{order}I", 0 if last else end + end % 2)
    body = struct.pack(f"{order}H", count) + b"".join(entries) + following + tail + b"".join(data)
    return body + (b"" if last else bytes(end % 2))


def _packed12(plane):
    """Rows of 12-bit samples, two in three bytes, the first bits first whatever the byte order."""
    bits = np.unpackbits(plane.astype(">u2").view(np.uint8).reshape(*plane.shape[:2], 2), axis=-1)[..., 4:]
    return np.packbits(bits.reshape(len(plane), -1), axis=-1).tobytes()


def png16(pixels, *, filtered=True):
    """(H, W) or (H, W, C) uint16 -> bytes; each row through another filter where `filtered`."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, samples = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8).astype(int)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    left = np.hstack([np.zeros((height, 2 * samples), int), rows[:, : -2 * samples]])
    lines = []
    for number, row in enumerate(rows):
        kind = number % 4 if filtered else 0
        guess = [0, left[number], above[number], (left[number] + above[number]) // 2][kind]
        lines.append(bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes())
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[samples], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    )
