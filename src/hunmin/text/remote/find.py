"""Finding the files that an address names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from hunmin.text.remote import errors
from hunmin.text.remote.address import WEB, RemoteFile, check_address, name_of, scheme_of
from hunmin.text.remote.objects import Found, ObjectStore
from hunmin.text.remote.stream import retried, store_of
from hunmin.text.remote.web import WebStore

_TRIES = 3


def find_remote(address: str) -> Iterator[Found]:
    """Yield the files behind an address.

    Args:
        address: A file, a folder or a glob of an object store (`s3://bucket/**/*.jsonl.zst`), or
            one file of a web server.

    Yields:
        Name below the folder it was found in, the file, and whether it was named itself.

    Raises:
        MissingInputError: There is nothing.
        InputError: The address holds a secret, cannot be read, or may not be.
        UnreachableError: The server does not answer.
    """
    check_address(address)
    if scheme_of(address) in WEB:
        yield name_of(address), remote_file(address), True
    else:
        yield from cast(ObjectStore, store_of(address)).find(address)


def remote_file(address: str) -> RemoteFile:
    """Return one file.

    Args:
        address: Of a file, not of a folder.

    Returns:
        The file with its size and version.

    Raises:
        MissingInputError: There is no such file.
        InputError: The address holds a secret, cannot be read, or may not be.
        UnreachableError: The server does not answer.
    """
    check_address(address)
    if scheme_of(address) in WEB:
        store = cast(WebStore, store_of(address))
        return retried(lambda: store.stat(address), _TRIES)
    files = [file for _, file, was_named in find_remote(address) if was_named]
    if not files:
        raise errors.missing(address)
    return files[0]
