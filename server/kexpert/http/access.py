"""Who may ask: tokens from a file, by header for programs and by cookie for browsers."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from pathlib import Path

MIN_TOKEN_CHARS = 20
_MAX_FILE_BYTES = 1 << 20
COOKIE = "kexpert"
_COOKIE_PURPOSE = b"kexpert web session 1"


class TokenFileError(Exception):
    """The token file cannot be used; the message says why and what to do. It never holds a token."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    digest: bytes  # of the token
    cookie: str


class Tokens:
    """The tokens of a file. Comparing takes the same time whatever is wrong with a token."""

    def __init__(self, entries: list[_Entry]) -> None:
        self._entries = entries

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """Read ``NAME TOKEN`` or ``TOKEN`` lines; ``#`` begins a comment line. Raises TokenFileError."""
        try:
            with path.open("rb") as file:
                _check_mode(path, os.fstat(file.fileno()))
                data = file.read(_MAX_FILE_BYTES)
        except OSError as error:
            raise TokenFileError(f"{path}: {error.strerror}; --tokens takes a file with a token a line") from None
        entries: list[_Entry] = []
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            token = words[-1]
            if len(words) > 2 or len(token) < MIN_TOKEN_CHARS or not token.isascii():
                raise TokenFileError(
                    f"{path}:{number}: expected NAME TOKEN with {MIN_TOKEN_CHARS} or more ASCII characters in the "
                    "token; make one with: openssl rand -hex 24"
                )
            name = words[0] if len(words) == 2 else f"line {number}"
            entries.append(_Entry(name, _digest(token), session_cookie(token)))
        if not entries:
            raise TokenFileError(f"{path}: no token in it; make one with: openssl rand -hex 24 > {path}")
        return cls(entries)

    def name_of(self, token: str) -> str | None:
        """Whose token it is; None for no one's."""
        digest, found = _digest(token), None
        for entry in self._entries:  # all of them: the time must not tell which one
            if hmac.compare_digest(entry.digest, digest):
                found = entry.name
        return found

    def name_of_cookie(self, value: str) -> str | None:
        """Whose browser it is; None for no one's."""
        given, found = value.encode("utf-8", "replace"), None
        for entry in self._entries:
            if hmac.compare_digest(entry.cookie.encode(), given):
                found = entry.name
        return found


def session_cookie(token: str) -> str:
    """The cookie that a browser keeps instead of a token. It says nothing of the token, is the same in every process
    and replica, and is worth nothing when the token is gone from the file."""
    return hmac.new(token.encode(), _COOKIE_PURPOSE, hashlib.sha256).hexdigest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _check_mode(path: Path, status: os.stat_result) -> None:
    """Raises TokenFileError for a file that others may read or change.

    The group may read a file of root's: so are secrets mounted into a container.
    """
    if not stat.S_ISREG(status.st_mode):
        raise TokenFileError(f"{path}: no regular file")
    if status.st_uid not in (0, os.geteuid()):
        raise TokenFileError(f"{path}: it belongs to another user (uid {status.st_uid}), who could change it")
    allowed = 0o740 if status.st_uid == 0 and os.geteuid() != 0 else 0o700
    if stat.S_IMODE(status.st_mode) & 0o777 & ~allowed:
        raise TokenFileError(f"{path}: others may read it (mode {stat.S_IMODE(status.st_mode):04o}); chmod 600 {path}")
