"""Addresses of files: which there are, and what of them may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, unquote, urlsplit

from hunmin.core.errors import InputError

OBJECT_STORES = ("s3", "gs", "hf")
WEB = ("https", "http")
_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
_SETTING = re.compile(r"\?[A-Za-z_][\w-]*=")
_USER = re.compile(r"(?<=://)[^/]*@")
_SECRET = re.compile(
    r"sig|token|secret|passw|pwd|credential|auth|(^|[-_.])(api|access|private)?[-_]?key($|[-_.])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RemoteFile:
    """A file behind an address, as it was when it was found; its text form holds no secrets."""

    address: str
    """Where it lies."""
    size: int
    """Bytes."""
    version: str
    """Entity tag or time of change; empty if the server tells neither."""

    def __str__(self) -> str:
        return shown(self.address)

    @property
    def name(self) -> str:
        """Last part of the address."""
        return name_of(self.address)

    @property
    def suffix(self) -> str:
        """Last ending of the name, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def suffixes(self) -> list[str]:
        """All endings of the name."""
        return PurePosixPath(self.name).suffixes


def is_address(path: str) -> bool:
    """Say whether a path is an address of an object store or the web."""
    return _ADDRESS.match(path) is not None


def scheme_of(address: str) -> str:
    """Return what stands before `://`, in small letters."""
    return address.partition("://")[0].lower()


def name_of(address: str) -> str:
    """Return the last part of an address's path, or its host if it has none."""
    if scheme_of(address) not in WEB:
        return address.rstrip("/").rpartition("/")[2]
    parts = urlsplit(address)
    return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.hostname or ""


def shown(address: str) -> str:
    """Return an address as messages and records may show it: without user and query."""
    address = _USER.sub("", address)
    is_web = scheme_of(address) in WEB
    return re.split(r"[?#]" if is_web else r"\?(?=[A-Za-z_][\w-]*=)", address)[0]


def check_address(address: str) -> None:
    """Refuse an address that cannot be read, or that a recipe should not hold.

    Args:
        address: What the recipe names.

    Raises:
        InputError: Its kind is not known, or it holds a secret or settings of the store.
    """
    scheme = scheme_of(address)
    if scheme not in (*OBJECT_STORES, *WEB):
        raise InputError(
            f"addresses that begin with {scheme}:// cannot be read",
            where=shown(address),
            allowed=", ".join(f"{name}://" for name in (*OBJECT_STORES, *WEB)),
            hint="fetch the files first, or mount the store as a folder",
        )
    if not re.match(r"[^/?#]", address.partition("://")[2]):
        raise InputError("this address names no bucket or host", where=shown(address))
    if _holds_secret(address, scheme):
        raise InputError(
            "this address holds a user name, password, key or signature",
            where=shown(address),
            hint="take it out: recipes are copied into results. Stores find their credentials in "
            "the environment (AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS, HF_TOKEN), web "
            "servers in ~/.netrc",
        )
    if scheme in OBJECT_STORES and _SETTING.search(address):
        raise InputError(
            "settings of a store do not belong into its address",
            where=shown(address),
            hint="set them in the environment: AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE",
        )
    if scheme in WEB and "*" in urlsplit(address).path:
        raise InputError(
            "a web server has no folders to look through",
            where=shown(address),
            allowed="the address of one file",
            hint="name each file; patterns work for s3://, gs:// and hf://",
        )


def _holds_secret(address: str, scheme: str) -> bool:
    if _USER.search(address):
        return True
    query = urlsplit(address).query if scheme in WEB else address.partition("?")[2]
    return any(_SECRET.search(name) for name, _ in parse_qsl(query, keep_blank_values=True))
