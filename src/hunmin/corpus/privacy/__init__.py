"""Privacy: personal data give way to typed tokens, and only their number by type is kept."""

from hunmin.corpus.privacy.kernel import PersonalDataMasker, total_counts
from hunmin.corpus.privacy.mask import Span, TextMasker, masker_for
from hunmin.corpus.privacy.spec import PrivacySpec
from hunmin.corpus.privacy.tokens import DEFAULT_TYPES, PRIVACY_TOKENS, PRIVACY_TYPES, token_of

__all__ = [
    "DEFAULT_TYPES",
    "PRIVACY_TOKENS",
    "PRIVACY_TYPES",
    "PersonalDataMasker",
    "PrivacySpec",
    "Span",
    "TextMasker",
    "masker_for",
    "token_of",
    "total_counts",
]
