"""What stores and servers answer, told in one way."""

from __future__ import annotations

import re

from hunmin.core.errors import HunminError, InputError, MissingInputError, UnreachableError
from hunmin.text.remote.address import shown

# What the libraries of the stores say -> what it means. The first that fits counts.
_KINDS: tuple[tuple[str, str], ...] = (
    (r"NETWORK_CONNECTION|REQUEST_TIMEOUT", "network"),
    (r"NO_SUCH_BUCKET|Bucket .*not found|bucket does not exist", "bucket"),
    (
        r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|EXPIRED|HTTP status 40[13]|PERMISSION_DENIED|"
        r"UNAUTHENTICATED|INVALID_CLIENT_TOKEN|MISSING_AUTH|UNRECOGNIZED_CLIENT|credentials|"
        r"\b40[13] (Client Error|Forbidden|Unauthorized)|gated",
        "permission",
    ),
    (r"NO_SUCH_KEY|RESOURCE_NOT_FOUND|HTTP status 404|NOT_FOUND|Not Found|404 Client", "missing"),
    (r"HTTP status 301|PermanentRedirect", "region"),
)
_QUOTED = re.compile(r"'[^']*'")
_QUERY = re.compile(r"\?\S*=\S*")


def store_error(error: Exception, address: str) -> HunminError:
    """Return the error to raise for what a store's library raised.

    Args:
        error: Its own error.
        address: What was asked for.

    Returns:
        MissingInputError, InputError (no permission) or UnreachableError (all else).
    """
    if isinstance(error, HunminError):
        return error
    # Without names of files, which may hold any word.
    text = f"{type(error).__name__}: {_QUOTED.sub('', str(error))}"
    kind = next((kind for pattern, kind in _KINDS if re.search(pattern, text)), "")
    if kind == "bucket":
        return no_bucket(address)
    if kind == "permission" or isinstance(error, PermissionError):
        return no_permission(address)
    if kind == "missing" or isinstance(error, FileNotFoundError):
        return missing(address)
    if kind == "region":
        return InputError(
            "this bucket lies in another region",
            where=shown(address),
            hint="set AWS_REGION to the bucket's region, or leave it unset to have it looked up",
        )
    return unreachable(address, _problem(error))


def _problem(error: Exception) -> str:
    """Return what a library says, without addresses and its own bookkeeping."""
    line = str(error).partition("\n")[0].partition(" error_info=")[0]
    return _QUERY.sub("", line) or type(error).__name__


def no_bucket(address: str) -> MissingInputError:
    """Return the error for a bucket that does not exist."""
    return MissingInputError(
        "there is no such bucket",
        where=shown(address),
        given=shown(address).partition("://")[2].partition("/")[0],
        hint="check its name, and AWS_ENDPOINT_URL if the store is not Amazon's",
    )


def missing(address: str) -> MissingInputError:
    """Return the error for an address that nothing lies behind."""
    return MissingInputError(
        "there is no such file or folder",
        where=shown(address),
        hint="check the address; names are case-sensitive",
    )


def no_permission(address: str) -> InputError:
    """Return the error for an answer that refuses."""
    return InputError(
        "no permission to read this",
        where=shown(address),
        hint="credentials come from the environment: AWS_PROFILE or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, HF_TOKEN, ~/.netrc for web "
        "servers; public buckets need AWS_NO_SIGN_REQUEST=YES or GS_NO_SIGN_REQUEST=YES",
    )


def unreachable(address: str, problem: str) -> UnreachableError:
    """Return the error for a server that does not answer as it should."""
    return UnreachableError(
        f"the server cannot be reached: {problem}",
        where=shown(address),
        hint="check the network and the address (for a store of your own: AWS_ENDPOINT_URL), "
        "then run the same command again",
    )


def changed(address: str, given: str) -> InputError:
    """Return the error for a file that is not the one that was found."""
    return InputError(
        "the file was changed while it was read",
        where=shown(address),
        given=given,
        hint="run the command again when it is complete",
    )
