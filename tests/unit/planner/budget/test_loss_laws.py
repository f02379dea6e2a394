"""Published constants give the published tables, and optima are minima."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.planner.budget.loss_laws import (
    APPROACH_1,
    APPROACH_2,
    BESIROGLU_2024,
    EXCESS_PARAMETERS,
    HOFFMANN_2022,
    HOFFMANN_2022_PRINTED,
    MUENNIGHOFF_2023,
    REPEATED_TOKENS,
    Allocation,
    LossLaw,
    effective_tokens,
    loss_with_repetition,
    optimum_with_repetition,
)

GOPHER = 5.76e23
"""FLOPs of Gopher, and of Chinchilla: 70B parameters, 1.4T tokens."""
PARAMETERS = (400e6, 1e9, 10e9, 67e9, 175e9, 280e9, 520e9, 1e12, 10e12)
TABLE_3 = (1.92e19, 1.21e20, 1.23e22, 5.76e23, 3.85e24, 9.90e24, 3.43e25, 1.27e26, 1.30e28)
TABLE_A3_2 = (1.84e19, 1.20e20, 1.32e22, 6.88e23, 4.54e24, 1.18e25, 4.19e25, 1.59e26, 1.75e28)
# The table prints 1.26e24 for 175B, which with its 12.0T tokens is a slip: 6 N D is 1.26e25.
TABLE_A3_3 = (2.21e19, 1.62e20, 2.46e22, 1.71e24, 1.26e25, 3.52e25, 1.36e26, 5.65e26, 8.55e28)
LAWS = (BESIROGLU_2024, HOFFMANN_2022, HOFFMANN_2022_PRINTED, MUENNIGHOFF_2023)

laws = st.sampled_from(LAWS)
exponents = st.floats(17, 27)
inference = st.floats(0, 1e15)


@pytest.mark.parametrize(
    ("law", "table", "tolerance"),
    [
        (APPROACH_1, TABLE_3, 0.013),
        (APPROACH_2, TABLE_A3_2, 0.034),
        (HOFFMANN_2022, TABLE_A3_3, 0.08),
    ],
    ids=["approach 1", "approach 2", "approach 3"],
)
def test_the_tables_of_the_chinchilla_paper(law, table, tolerance: float) -> None:  # type: ignore[no-untyped-def]
    found = [law.optimum(flops).parameters for flops in table]
    assert found == pytest.approx(PARAMETERS, rel=tolerance)


def test_printed_digits_are_too_few_for_the_paper_s_own_table() -> None:
    found = [HOFFMANN_2022_PRINTED.optimum(flops).parameters for flops in TABLE_A3_3]
    worst = max(abs(1 - n / wanted) for n, wanted in zip(found, PARAMETERS, strict=True))
    assert worst == pytest.approx(0.30, abs=0.01)


def test_chinchilla_comes_out_of_the_law_that_is_fitted_again() -> None:
    best = BESIROGLU_2024.optimum(GOPHER)
    assert best.parameters == pytest.approx(70e9, rel=0.04)
    assert best.tokens == pytest.approx(1.4e12, rel=0.06)
    assert BESIROGLU_2024.best_size_for_tokens(260e9) == pytest.approx(13e9, rel=0.01)


def test_approach_3_as_published_would_have_taken_forty_billion() -> None:
    """Hoffmann et al., table 3 and captions of figures 3 and 4: 67B, 63B and 40B."""
    assert HOFFMANN_2022.optimum(GOPHER).parameters == pytest.approx(40e9, rel=0.02)
    assert APPROACH_1.optimum(GOPHER).parameters == pytest.approx(67e9, rel=0.02)
    assert APPROACH_2.optimum(GOPHER).parameters == pytest.approx(63e9, rel=0.02)


def test_losses_by_hand() -> None:
    assert BESIROGLU_2024.loss(1.0, 1.0) == pytest.approx(1.8172 + 482.01 + 2085.43)
    ten_to_ten = 1.69 + 406.4 * 10**-3.4 + 410.7 * 10**-2.8
    assert HOFFMANN_2022_PRINTED.loss(1e10, 1e10) == pytest.approx(ten_to_ten)
    # Muennighoff et al. print E = 1.87, A = 521, B = 1488, and 0.051 parameters a token
    law = MUENNIGHOFF_2023
    assert (law.floor, law.size_scale, law.data_scale) == pytest.approx(
        (1.87, 521, 1488), rel=0.002
    )
    assert law.best_size_for_tokens(1e9) == pytest.approx(0.051e9, rel=0.005)


@settings(deadline=None)
@given(laws, exponents, st.floats(0.05, 20))
def test_the_optimum_is_a_minimum_at_equal_compute(
    law: LossLaw, exponent: float, factor: float
) -> None:
    best = law.optimum(10**exponent)
    assert best.flops == pytest.approx(10**exponent)
    other = Allocation(best.parameters * factor, best.tokens / factor)
    least = law.loss(best.parameters, best.tokens)
    assert law.loss(other.parameters, other.tokens) >= least * (1 - 1e-12)


@settings(deadline=None)
@given(laws, exponents)
def test_the_optimum_is_the_best_of_a_fine_scan(law: LossLaw, exponent: float) -> None:
    best = law.optimum(10**exponent)
    scan = [1.01**i for i in range(-50, 51)]
    losses = [law.loss(best.parameters * f, best.tokens / f) for f in scan]
    assert losses.index(min(losses)) == 50


@settings(deadline=None)
@given(laws, exponents, st.floats(1.01, 1e4))
def test_more_compute_never_a_smaller_model_nor_a_higher_loss(
    law: LossLaw, exponent: float, factor: float
) -> None:
    small, large = law.optimum(10**exponent), law.optimum(10**exponent * factor)
    assert large.parameters > small.parameters
    assert large.tokens > small.tokens
    assert law.loss(large.parameters, large.tokens) < law.loss(small.parameters, small.tokens)


@settings(deadline=None)
@given(laws, exponents, st.floats(0.2, 5))
def test_tokens_for_a_loss_are_the_inverse(law: LossLaw, exponent: float, factor: float) -> None:
    best = law.optimum(10**exponent)
    loss = law.loss(best.parameters * factor, best.tokens)
    assert law.tokens_for(best.parameters * factor, loss) == pytest.approx(best.tokens, rel=1e-6)
    assert law.best_size_for_tokens(best.tokens) == pytest.approx(best.parameters)


def test_a_small_model_never_reaches_a_low_loss() -> None:
    assert BESIROGLU_2024.tokens_for(1e6, 2.0) == math.inf


# -- inference -------------------------------------------------------------------------------------


def test_the_example_of_the_paper_on_inference() -> None:
    """Sardana et al. 2024, figure 1.

    13B parameters and 2T tokens of inference: 7B instead save 1.7e22 FLOPs, 17 %.
    """
    law = HOFFMANN_2022
    tokens = (law.best_size_for_tokens(1.0) / 13e9) ** (-law.size_exponent / law.data_exponent)
    assert law.best_size_for_tokens(tokens) == pytest.approx(13e9)
    found = law.cheapest_to_serve(law.loss(13e9, tokens), 2e12)
    before, after = (6 * n * d + 2 * n * 2e12 for n, d in [(13e9, tokens), _pair(found)])
    assert found.parameters == pytest.approx(7e9, rel=0.03)
    assert before - after == pytest.approx(1.7e22, rel=0.05)
    assert 1 - after / before == pytest.approx(0.17, abs=0.01)


def _pair(spent: Allocation) -> tuple[float, float]:
    return spent.parameters, spent.tokens


@settings(deadline=None)
@given(laws, exponents, inference, st.floats(0.9, 1.1))
def test_cheapest_to_serve_is_a_minimum(
    law: LossLaw, exponent: float, served: float, factor: float
) -> None:
    best = law.optimum(10**exponent)
    loss = law.loss(best.parameters, best.tokens)
    found = law.cheapest_to_serve(loss, served)
    assert law.loss(found.parameters, found.tokens) == pytest.approx(loss)
    other = found.parameters * factor
    tokens = law.tokens_for(other, loss)
    assert found.flops + 2 * found.parameters * served <= (6 * tokens + 2 * served) * other * (
        1 + 1e-9
    )


@settings(deadline=None)
@given(laws, exponents, inference, st.floats(1, 1e3))
def test_more_inference_never_a_larger_model(
    law: LossLaw, exponent: float, served: float, factor: float
) -> None:
    best = law.optimum(10**exponent)
    loss = law.loss(best.parameters, best.tokens)
    little, much = (law.cheapest_to_serve(loss, served * f) for f in (1, factor))
    assert much.parameters <= little.parameters * (1 + 1e-9)
    assert little.parameters <= best.parameters * (1 + 1e-9)


@settings(deadline=None)
@given(laws, exponents)
def test_without_inference_the_cheapest_is_the_compute_optimum(
    law: LossLaw, exponent: float
) -> None:
    best = law.optimum(10**exponent)
    found = law.cheapest_to_serve(law.loss(best.parameters, best.tokens), 0.0)
    assert _pair(found) == pytest.approx(_pair(best), rel=1e-6)


# -- repetition ------------------------------------------------------------------------------------


def test_four_epochs_are_nearly_as_good_as_new_tokens() -> None:
    assert effective_tokens(100e9, 400e9) == pytest.approx(373e9, rel=0.01)
    assert effective_tokens(100e9, 90e9) == 90e9
    assert effective_tokens(100e9, 1e15) == pytest.approx((1 + REPEATED_TOKENS) * 100e9)
    once_per_decay = effective_tokens(1.0, 1 + REPEATED_TOKENS) - 1
    assert once_per_decay / REPEATED_TOKENS == pytest.approx(1 - 1 / math.e)


@settings(deadline=None)
@given(st.floats(1e6, 1e13), st.floats(1, 500), st.floats(1, 10))
def test_repeated_tokens_help_and_are_never_worth_more_than_new_ones(
    unique: float, epochs: float, factor: float
) -> None:
    few, many = (effective_tokens(unique, unique * epochs * f) for f in (1, factor))
    assert few <= many * (1 + 1e-9)
    assert few <= unique * epochs * (1 + 1e-9)


def test_repetition_by_hand() -> None:
    """Equation 6: 5 epochs of 10B tokens, and a model twice as large as is best for 10B."""
    law = MUENNIGHOFF_2023
    best = law.best_size_for_tokens(10e9)
    size = best * (1 + EXCESS_PARAMETERS * (1 - math.exp(-1 / EXCESS_PARAMETERS)))
    data = 10e9 * (1 + REPEATED_TOKENS * (1 - math.exp(-4 / REPEATED_TOKENS)))
    found = loss_with_repetition(law, 2 * best, 50e9, 10e9)
    assert found == pytest.approx(law.loss(size, data))


@settings(deadline=None)
@given(laws, exponents, st.floats(1, 40), st.floats(0.3, 3))
def test_the_optimum_with_repetition_is_a_minimum(
    law: LossLaw, exponent: float, epochs: float, factor: float
) -> None:
    flops = 10**exponent
    unique = law.optimum(flops).tokens / epochs
    found = optimum_with_repetition(law, flops, unique)
    other = Allocation(found.parameters * factor, found.tokens / factor)
    assume(other.tokens > unique)
    assert found.flops == pytest.approx(flops)
    assert loss_with_repetition(law, *_pair(found), unique) <= loss_with_repetition(
        law, *_pair(other), unique
    ) * (1 + 1e-9)


def test_few_unique_tokens_want_more_epochs_rather_than_more_parameters() -> None:
    """The finding of Muennighoff et al., section 5."""
    best = MUENNIGHOFF_2023.optimum(1e22)
    found = optimum_with_repetition(MUENNIGHOFF_2023, 1e22, best.tokens / 8)
    assert found.parameters < 0.8 * best.parameters
    assert found.tokens > 8 * (best.tokens / 8)
    assert optimum_with_repetition(MUENNIGHOFF_2023, 1e22, best.tokens * 2) == best


@pytest.mark.parametrize("flops", [0.0, -1e20, math.inf, math.nan])
def test_impossible_compute_is_refused(flops: float) -> None:
    for law in (BESIROGLU_2024, APPROACH_1):
        with pytest.raises(InputError, match=r"training FLOPs: this number is impossible"):
            law.optimum(flops)


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(InputError, match=r"loss: this number[\s\S]*more than 1.8172"):
        BESIROGLU_2024.cheapest_to_serve(1.8, 1e12)
    with pytest.raises(InputError, match="inference tokens"):
        BESIROGLU_2024.cheapest_to_serve(2.0, -1.0)
    with pytest.raises(InputError, match="unique tokens"):
        optimum_with_repetition(BESIROGLU_2024, 1e20, 0.0)
