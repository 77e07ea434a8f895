"""Files of the Hugging Face hub: from its local cache, else fetched, and only for who asked by name."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path

from ssl_robust.encoders.hub_format import CONFIG, HUB_WEIGHTS
from ssl_robust.run import UserError

PREFIX = "hf-hub:"
_CONNECT_SECONDS = 5.0
_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>\w[\w./-]*))?", re.ASCII)


def from_hub(name: str) -> Path:
    """`hf-hub:ORG/NAME`, perhaps with `@REVISION` -> the directory in the hub's cache with config.json and weights.

    Raises:
        UserError: the name is none, or the files are not on this machine and cannot be fetched.
    """
    match = _NAME.fullmatch(name.removeprefix(PREFIX))
    if match is None:
        raise UserError(
            f"checkpoint={name} is no name of the hub; expected {PREFIX}ORG/NAME or {PREFIX}ORG/NAME@REVISION"
        )
    repo, what = match["repo"], f"the files of {name}"
    advice = (
        f"connect once, or copy {repo}'s {CONFIG} and {HUB_WEIGHTS} into a folder by hand and give checkpoint=FOLDER"
    )
    config = fetch(repo, CONFIG, revision=match["revision"], what=what, advice=advice)
    # Of the same snapshot, whatever has been published meanwhile.
    fetch(repo, HUB_WEIGHTS, revision=config.parent.name, what=what, advice=advice)
    return config.parent


def fetch(repo: str, file: str, *, what: str, advice: str, revision: str | None = None) -> Path:
    """A file of the hub in its local cache, fetched where it is not there; one short attempt to reach the hub.

    Args:
        repo: "ORG/NAME".
        file: its name there; never a pickle.
        what: what it is, for messages.
        advice: what the user can do without a network.
        revision: branch, tag or commit; None: the newest.

    Raises:
        UserError: it cannot be had.
    """
    import huggingface_hub as hub

    try:
        cached = hub.try_to_load_from_cache(repo, file, revision=revision)
    except ValueError:
        raise UserError(f"{repo} is no name that the hub can have, so {what} are not to be had; check it") from None
    if isinstance(cached, str):
        return Path(cached)
    endpoint = hub.constants.ENDPOINT
    # The hub's client retries for most of a minute; whether there is a network shows in one request.
    if hub.constants.HF_HUB_OFFLINE or not _answers(endpoint):
        raise UserError(f"{what} are not on this machine and {endpoint} cannot be reached; {advice}")
    try:
        return Path(hub.hf_hub_download(repo, file, revision=revision))
    except (OSError, ValueError) as error:  # the hub's own errors derive from OSError
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"fetching {what} from {endpoint} failed ({reason}); {advice}") from None


def _answers(endpoint: str) -> bool:
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_CONNECT_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # any answer is an answer
    except OSError:
        return False
    return True
