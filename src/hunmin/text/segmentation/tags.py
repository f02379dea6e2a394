"""What begins at a boundary, read from the part-of-speech tag of the morpheme that starts there."""

from __future__ import annotations

import functools
from collections.abc import Callable

from hunmin.text.segmentation.boundaries import BoundaryKind

TagKind = Callable[[str], BoundaryKind]
_SEJONG_COPULAS = frozenset({"VCP", "VCN"})
_SEJONG_AFFIXES = frozenset({"XSV", "XSA", "XSN", "XSM", "XPN"})
_UNIDIC_KINDS = {
    "助詞": BoundaryKind.PARTICLE,
    "助動詞": BoundaryKind.ENDING,
    "接尾辞": BoundaryKind.DERIVATION,
    "接頭辞": BoundaryKind.DERIVATION,
}


@functools.cache
def sejong_kind(tag: str) -> BoundaryKind:
    """Return the kind of a Sejong tag: Kiwi, MeCab-ko, UD Korean GSD, KLUE.

    Args:
        tag: Such as JKS or EP; of a compound tag (VV+EP) the first counts, and what follows a
            hyphen (VV-I) does not.

    Returns:
        What begins where a morpheme with this tag starts.
    """
    tag = tag.split("+", 1)[0].split("-", 1)[0]
    if tag in _SEJONG_COPULAS:
        return BoundaryKind.COPULA
    if tag in _SEJONG_AFFIXES:
        return BoundaryKind.DERIVATION
    return {"J": BoundaryKind.PARTICLE, "E": BoundaryKind.ENDING}.get(
        tag[:1], BoundaryKind.COMPOUND
    )


@functools.cache
def kaist_kind(tag: str) -> BoundaryKind:
    """Return the kind of a tag of the KAIST treebank, such as jco, ef, jp or xsv."""
    if tag == "jp":
        return BoundaryKind.COPULA
    return {
        "j": BoundaryKind.PARTICLE,
        "e": BoundaryKind.ENDING,
        "x": BoundaryKind.DERIVATION,
    }.get(tag[:1], BoundaryKind.COMPOUND)


def unidic_kind(tag: str) -> BoundaryKind:
    """Return the kind of the first part-of-speech level of UniDic and Sudachi, such as 助詞."""
    return _UNIDIC_KINDS.get(tag, BoundaryKind.COMPOUND)
