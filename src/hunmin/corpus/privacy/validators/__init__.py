"""Validators by the name that patterns.yaml gives them."""

from __future__ import annotations

from hunmin.corpus.privacy.validators.addresses import (
    coordinates,
    email_address,
    email_obfuscated,
    email_spaced,
    email_spaced_numbered,
    public_ipv4,
    public_ipv4_alone,
    public_ipv6,
)
from hunmin.corpus.privacy.validators.common import (
    Candidate,
    Validator,
    eleven_digits,
    not_binary,
    not_years,
)
from hunmin.corpus.privacy.validators.numbers import (
    bank_account,
    business_number,
    iban,
    payment_card,
    resident_number,
)
from hunmin.corpus.privacy.validators.phones import (
    german_phone,
    international_phone,
    japanese_phone,
    not_counting,
    phone_near_word,
)

VALIDATORS: dict[str, Validator] = {
    function.__name__: function
    for function in (
        bank_account,
        business_number,
        coordinates,
        eleven_digits,
        email_address,
        email_obfuscated,
        email_spaced,
        email_spaced_numbered,
        german_phone,
        iban,
        international_phone,
        japanese_phone,
        not_binary,
        not_counting,
        not_years,
        payment_card,
        phone_near_word,
        public_ipv4,
        public_ipv4_alone,
        public_ipv6,
        resident_number,
    )
}

__all__ = ["VALIDATORS", "Candidate", "Validator"]
