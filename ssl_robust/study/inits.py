"""Where the cells of a study begin: weights, features without weights, or a pretraining of the study's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_robust.encoders.places import find_checkpoint, name_of, shipped_checkpoints
from ssl_robust.run import UserError
from ssl_robust.settings import choices
from ssl_robust.study.choice import nearest

HISTOGRAM = "histogram"
_SET = "{set}"
_NAMES = {"random": "none", "default": "default", "imagenet": "imagenet", HISTOGRAM: HISTOGRAM}


@dataclass(frozen=True)
class Init:
    """A beginning.

    Attributes:
        name: what tables and folders call it.
        checkpoint: what `checkpoint=` gets, `{set}` in the place of a set's name; "" where a method has to be
            pretrained first.
    """

    name: str
    checkpoint: str

    def of(self, source: str) -> str:
        """The checkpoint for a set."""
        return self.checkpoint.replace(_SET, source)

    def check(self, sources: Iterable[str]) -> None:
        """Refuse a beginning that one of the sets does not have.

        Raises:
            UserError: there is no checkpoint for a set.
        """
        for source in sources if _SET in self.checkpoint else ():
            find_checkpoint(self.of(source))

    @property
    def is_method(self) -> bool:
        """Whether the study pretrains it."""
        return not self.checkpoint

    @property
    def is_drawn(self) -> bool:
        """Whether there can be several of it per set, by seed."""
        return self.is_method or self.name == "random"


def read_inits(words: Sequence[object], *, mode: str) -> list[Init]:
    """`inits=` -> beginnings, each once.

    Args:
        words: as typed.
        mode: frozen or finetune.

    Raises:
        UserError: no word, none that exists, one that the mode cannot begin with, or two of one name.
    """
    if not words:
        raise UserError("inits=[] leaves nothing to study; name at least one, e.g. random or default")
    found = list(dict.fromkeys(_read(str(word)) for word in words))
    if mode != "frozen" and HISTOGRAM in {each.name for each in found}:
        raise UserError(f"inits: {HISTOGRAM} has no encoder that could learn; add mode=frozen, or take it away")
    names = [each.name for each in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"inits: two checkpoints are called {twice[0]}; rename one of the directories")
    return found


def check_imagenet(encoder: str, encoder_file: str | None) -> None:
    """The network is never asked: timm's weights are a file, or in the hub's local cache.

    Args:
        encoder: timm's name.
        encoder_file: the file, None: the cache.

    Raises:
        UserError: they are not there.
    """
    if encoder_file is not None:
        if not Path(encoder_file).expanduser().is_file():
            raise UserError(f"encoder_file={encoder_file} does not exist; give timm's weights of {encoder} as a file")
        return
    import huggingface_hub as hub
    import timm

    cfg = timm.get_pretrained_cfg(encoder)
    file = (cfg and cfg.hf_hub_filename) or "model.safetensors"
    if not (cfg and cfg.hf_hub_id and isinstance(hub.try_to_load_from_cache(cfg.hf_hub_id, file), str)):
        raise UserError(
            f"inits: imagenet needs timm's weights of {encoder}, which are not on this machine; give them "
            f"as encoder_file=FILE.safetensors, or fetch them once (ssl-robust embed checkpoint=imagenet)"
        )


def _read(word: str) -> Init:
    if word in _NAMES:
        return Init(word, _NAMES[word])
    methods = choices("method")
    if word in methods:
        return Init(word, "")
    if word in shipped_checkpoints() or Path(word).expanduser().exists() or "/" in word:
        if _SET in word:
            return Init(name_of(word).replace(_SET, "").strip("-_. ") or name_of(Path(word).parent), word)
        find_checkpoint(word)
        return Init(name_of(word), word)
    known = [*_NAMES, *methods]
    raise UserError(
        f"inits: {word} does not exist{nearest(word, known)}; choose from {', '.join(known)}, or give the directory of "
        "a pretrain run ({set} in it stands for the name of each set)"
    )
