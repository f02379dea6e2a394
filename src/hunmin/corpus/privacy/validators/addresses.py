"""Addresses: of mail, of machines, of places."""

from __future__ import annotations

import functools
import ipaddress
import re
from importlib import resources

import yaml

from hunmin.core.yaml12 import Yaml12Loader
from hunmin.corpus.privacy.validators.common import Candidate

# The user of a repository's address, not of a mailbox.
_NO_MAILBOXES = frozenset({"git", "hg", "svn"})
_TOP_LEVEL = re.compile(r"[A-Za-z]{2,24}$")


@functools.cache
def _domain_endings(kind: str) -> frozenset[str]:
    data = resources.files("hunmin.corpus.privacy").joinpath("data/domains.yaml")
    return frozenset(yaml.load(data.read_text("utf-8"), Loader=Yaml12Loader)[kind])


def email_address(candidate: Candidate) -> bool:
    """Refuse files, units, repositories, algorithms, and dots that stand at the wrong place."""
    local, _, domain = candidate.text.partition("@")
    if ".." in local or local.endswith(".") or local.lower() in _NO_MAILBOXES:
        return False
    if domain.lower() in _domain_endings("not_mail"):
        return False
    return domain.rsplit(".", 1)[1].lower() not in _domain_endings("not_domains")


def email_spaced(candidate: Candidate) -> bool:
    """Accept an address with a space in it."""
    return " " in candidate.text


def email_spaced_numbered(candidate: Candidate) -> bool:
    """Accept an address with a space in it whose name has a digit."""
    local = candidate.text.partition("@")[0]
    return email_spaced(candidate) and any(character.isdigit() for character in local)


def email_obfuscated(candidate: Candidate) -> bool:
    """Accept a domain that ends as domains do."""
    found = _TOP_LEVEL.search(candidate.text)
    return candidate.text.endswith("컴") or (
        found is not None and found[0].lower() in _domain_endings("known")
    )


# Section numbers and versions of programs stay below; of addresses few do.
_SMALL_PART = 32


def public_ipv4(candidate: Candidate) -> bool:
    """Accept global addresses; those that end in .0 are networks or versions."""
    parts = candidate.text.split(".")
    if any(len(part) > 1 and part[0] == "0" for part in parts) or parts[-1] == "0":
        return False
    return _is_global(candidate.text)


def public_ipv4_alone(candidate: Candidate) -> bool:
    """Accept global addresses that do not look like versions or numbers of sections."""
    large = sum(int(part) >= _SMALL_PART for part in candidate.text.split("."))
    return large >= 2 and public_ipv4(candidate)


def public_ipv6(candidate: Candidate) -> bool:
    """Accept global addresses; those that end in :: are networks."""
    return not candidate.text.endswith("::") and _is_global(candidate.text)


def _is_global(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast


_DECIMAL = re.compile(r"[-+]?[0-9]+\.[0-9]+")
_MAX_LATITUDE, _MAX_LONGITUDE = 90, 180


def coordinates(candidate: Candidate) -> bool:
    """Accept a latitude and a longitude."""
    latitude, longitude = (float(number) for number in _DECIMAL.findall(candidate.text))
    return abs(latitude) <= _MAX_LATITUDE and abs(longitude) <= _MAX_LONGITUDE
