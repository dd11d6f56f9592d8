"""Uploads a published data set to a hub. The only module of the trainer that sends anything, and only when asked."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kexpert_trainer.errors import UserError
from kexpert_trainer.release.dataset import PUBLISHED

_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.A)


def push(folder: Path, repository: str, public: bool) -> str:
    """Upload ``folder`` to the data set ``owner/name``, with the user's own login; returns its address.

    Raises UserError: no such name, no login, or what the hub answers.
    """
    if not _NAME.fullmatch(repository):
        raise UserError(f"{repository}: not a name of a repository; give --push OWNER/NAME")
    os.environ["HF_HUB_OFFLINE"] = "0"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if get_token() is None:
        raise UserError("no login for the hub; run hf auth login, or set HF_TOKEN")
    constants.HF_HUB_OFFLINE = False
    api = HfApi()
    try:
        address = api.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_folder(
            repo_id=repository, repo_type="dataset", folder_path=folder, allow_patterns=list(PUBLISHED),
            commit_message="Chat corpus of a Linux tree",
        )  # fmt: skip
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as problem:
        said = str(problem).strip().splitlines()
        raise UserError(f"{repository}: the hub refuses ({said[0] if said else type(problem).__name__})") from None
    return str(address)
