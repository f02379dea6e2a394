"""What the tests of masking share."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunmin.corpus.privacy import PRIVACY_TYPES, PrivacySpec, TextMasker, masker_for
from hunmin.corpus.privacy.scoring import LabelledText, read_labelled

CASES = Path(__file__).with_name("cases.tsv")


@pytest.fixture(scope="session")
def masker() -> TextMasker:
    """A masker of all types."""
    return masker_for(PrivacySpec(types=PRIVACY_TYPES))


@pytest.fixture(scope="session")
def cases() -> list[LabelledText]:
    """The labelled list."""
    return read_labelled(CASES.read_text("utf-8").splitlines())
