"""`ssl-robust checkpoints list|show|export`: what was typed -> one call; nothing here imports torch but an export."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path

from ssl_robust.encoders.places import find_checkpoint, name_of
from ssl_robust.exports.listing import listed, shown
from ssl_robust.run import UserError

USAGE = """\
ssl-robust checkpoints list [DIR]      the encoders that ship, or those of the runs below DIR
ssl-robust checkpoints show NAME       the card of one: a name from the list, default, or a run's directory
ssl-robust checkpoints export NAME out=DIR [key=value …]      one in another library's format

  out=DIR            a new directory
  format=timm        weights in timm's key names, card and a snippet that loads them
        torchvision  torchvision's key names, for the architectures that it has
        onnx         a graph from values in [0, 1] to features (pip install "ssl-robust[onnx]")
        huggingface  a model repository as timm.create_model("hf-hub:…") reads it, with a model card
  dtype=stored       as the encoder lies there | float32 | float16 (half the bytes); with timm and huggingface
  license=other      of the weights, as the hub writes it: apache-2.0, cc-by-4.0, …; with huggingface"""
ACTIONS = ("list", "show", "export")
_OPTIONS: dict[str, tuple[str, ...]] = {  # option -> its values, the first is taken where none is given
    "out": (),
    "format": ("timm", "torchvision", "onnx", "huggingface"),
    "dtype": ("stored", "float32", "float16"),
    "license": (),
}
_READ_BY = {"dtype": ("timm", "huggingface"), "license": ("huggingface",)}  # options of some formats only


def checkpoints(words: list[str]) -> None:
    """Do what the words say.

    Args:
        words: `list`, `show` or `export`, then a name, then key=value.

    Raises:
        UserError: a word that is none, or what it names cannot be had.
    """
    if not words or {"-h", "--help", "help"} & set(words):
        print(USAGE)
        return
    action, rest = words[0], words[1:]
    if action not in ACTIONS:
        raise UserError(f"checkpoints {action} does not exist{_near(action, ACTIONS)}; expected {', '.join(ACTIONS)}")
    names = [word for word in rest if "=" not in word or Path(word).exists()]
    options = _read([word for word in rest if word not in names], _OPTIONS if action == "export" else {}, action)
    if len(names) > 1 or (action != "list" and not names):
        needed = "at most one directory" if action == "list" else "one name, e.g. default or a run's directory"
        raise UserError(f"checkpoints {action} takes {needed}, got {' '.join(names) or 'none'}")
    if action == "list":
        print(listed(names[0] if names else None))
    elif action == "show":
        print(shown(names[0]))
    else:
        _export(names[0], options)


def _export(name: str, options: dict[str, str]) -> None:
    if not options.get("out"):
        raise UserError(f"checkpoints export needs out=DIR, a new directory; e.g. out=exports/{name_of(name)}")
    style = options.get("format", "timm")
    for option, styles in _READ_BY.items():
        if option in options and style not in styles:
            raise UserError(f"{option}= is read with format={' and format='.join(styles)} only; take it away")
    find_checkpoint(name)  # a typo is told before torch is loaded
    from ssl_robust.exports.export import export

    out = export(
        name,
        options["out"],
        style=style,
        dtype=options.get("dtype", "stored"),
        license=options.get("license", "other"),
    )
    print(f"Wrote {out}: {', '.join(sorted(file.name for file in out.iterdir()))}")


def _read(words: list[str], known: dict[str, tuple[str, ...]], action: str) -> dict[str, str]:
    options = {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in known:
            takes = f"{_near(key, known)}; it takes {', '.join(known)}" if known else "; it takes none"
            raise UserError(f"checkpoints {action} has no option {key}{takes}")
        if known[key] and value not in known[key]:
            raise UserError(f"{word} does not exist{_near(value, known[key])}; choose one of {', '.join(known[key])}")
        options[key] = value
    return options


def _near(word: str, known: Collection[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {match[0]}" if match else ""
