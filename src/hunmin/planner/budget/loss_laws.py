"""Laws that predict the loss from parameters and tokens, and what follows from them.

    L(N, D) = E + A / N^α + B / D^β          nats a token; N parameters, D tokens, 6 N D operations

N counts all parameters, embeddings too (Hoffmann et al., appendix F). Every constant was measured
on one corpus with one tokenizer: MassiveText (English) with 32,000 pieces here. A loss they predict
cannot be compared with that of another language or tokenizer; ratios of sizes and tokens, and
differences of losses, carry over far better. Models they were fitted to have 44M to 16B parameters
and saw 5B to 500B tokens, each about once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from hunmin.planner.checks import check_number

TRAIN_FLOPS = 6.0
"""Operations a parameter and training token: two forward, four backward."""
INFERENCE_FLOPS = 2.0
"""Operations a parameter and token that is read or generated."""
TOKENS_PER_PARAMETER = 20.0
"""The rule of thumb that Chinchilla left behind: 70B parameters, 1.4T tokens."""


@dataclass(frozen=True)
class Allocation:
    """How training compute is spent.

    Args:
        parameters: Of the model, embeddings too.
        tokens: It is trained on.
    """

    parameters: float
    tokens: float

    @property
    def flops(self) -> float:
        """Training operations, 6 N D."""
        return TRAIN_FLOPS * self.parameters * self.tokens


@dataclass(frozen=True)
class Frontier:
    """A power law of the best size alone: parameters = coefficient · FLOPs ^ exponent.

    Args:
        name: For people.
        coefficient: Parameters at one operation.
        exponent: Between 0 and 1.
        source: Where it comes from.
    """

    name: str
    coefficient: float
    exponent: float
    source: str

    def optimum(self, flops: float) -> Allocation:
        """Return the compute-optimal allocation of so many training operations."""
        check_number(flops, where="training FLOPs", above=0)
        parameters = self.coefficient * flops**self.exponent
        return Allocation(parameters, flops / TRAIN_FLOPS / parameters)


@dataclass(frozen=True)
class LossLaw:
    """L(N, D) = E + A / N^α + B / D^β.

    Args:
        name: For people.
        floor: E, nats a token, that no size goes below.
        size_scale: A.
        data_scale: B.
        size_exponent: α.
        data_exponent: β.
        source: Where the constants come from.
    """

    name: str
    floor: float
    size_scale: float
    data_scale: float
    size_exponent: float
    data_exponent: float
    source: str

    def loss(self, parameters: float, tokens: float) -> float:
        """Return the loss in nats a token of a model that sees each token once."""
        of_size = self.size_scale * parameters**-self.size_exponent
        return float(self.floor + of_size + self.data_scale * tokens**-self.data_exponent)

    def optimum(self, flops: float) -> Allocation:
        """Return the allocation of least loss for so many training operations.

        Args:
            flops: 6 N D; more than 0.

        Returns:
            The closed form: N = G (C/6)^(β/(α+β)), G = (αA / βB)^(1/(α+β)).

        Raises:
            InputError: No such number of operations is possible.

        Source:
            Hoffmann et al. 2022 (arXiv:2203.15556), equation 4.
        """
        check_number(flops, where="training FLOPs", above=0)
        alpha, beta = self.size_exponent, self.data_exponent
        scale = (alpha * self.size_scale / (beta * self.data_scale)) ** (1 / (alpha + beta))
        parameters = scale * (flops / TRAIN_FLOPS) ** (beta / (alpha + beta))
        return Allocation(parameters, flops / TRAIN_FLOPS / parameters)

    def best_size_for_tokens(self, tokens: float) -> float:
        """Return the parameters for which so many tokens are compute-optimal."""
        alpha, beta = self.size_exponent, self.data_exponent
        ratio = alpha * self.size_scale / (beta * self.data_scale)
        return float((ratio * tokens**beta) ** (1 / alpha))

    def tokens_for(self, parameters: float, loss: float) -> float:
        """Return the tokens after which a model of a size reaches a loss; infinite if never."""
        left = loss - self.floor - self.size_scale * parameters**-self.size_exponent
        return (
            math.inf if left <= 0 else float((self.data_scale / left) ** (1 / self.data_exponent))
        )

    def cheapest_to_serve(self, loss: float, inference_tokens: float) -> Allocation:
        """Return the allocation that reaches a loss with least training and inference.

        Minimises 6 N D + 2 N I where L(N, D) is given. With the ratio r of what a little more
        size and what a little more data bring, αA N^-α / (βB D^-β), the minimum is where
        3 D (r - 1) = I, and its left side only falls with N: it is bisected.

        Args:
            loss: Nats a token, above the floor.
            inference_tokens: Read and generated in the model's whole life, I; 0 or more.

        Returns:
            The allocation; that of least training for I = 0.

        Raises:
            InputError: The loss is at or below the floor, or the tokens are negative.

        Source:
            Sardana et al. 2024 (arXiv:2401.00448), section 2.
        """
        check_number(loss, where="loss", above=self.floor)
        check_number(inference_tokens, where="inference tokens", at_least=0)
        alpha, beta = self.size_exponent, self.data_exponent

        def is_too_small(size: float) -> bool:
            tokens = self.tokens_for(size, loss)
            if math.isinf(tokens):
                return True
            of_data = beta * self.data_scale * tokens**-beta
            ratio = alpha * self.size_scale * size**-alpha / of_data
            return bool(3 * tokens * (ratio - 1) > inference_tokens)

        smallest = (self.size_scale / (loss - self.floor)) ** (1 / alpha)
        # At the compute optimum both terms above the floor are in the ratio β : α.
        size = _bisect(is_too_small, smallest, smallest * ((alpha + beta) / beta) ** (1 / alpha))
        return Allocation(size, self.tokens_for(size, loss))


def _bisect(is_too_small: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition that holds below a number, and not above, ends; from above."""
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if is_too_small(middle) else (low, middle)
        if high <= low * (1 + 1e-14):
            break
    return high


# -- published laws --------------------------------------------------------------------------------

_HOFFMANN = "Hoffmann et al. 2022, Training Compute-Optimal Large Language Models, arXiv:2203.15556"

APPROACH_1 = Frontier(
    "Chinchilla, approach 1",
    0.09916,
    0.49810,
    f"{_HOFFMANN}: a line through the nine rows of table 3 (within 1.2 %); the paper prints the "
    "exponent 0.50 and no coefficient",
)
APPROACH_2 = Frontier(
    "Chinchilla, approach 2",
    0.14488,
    0.48994,
    f"{_HOFFMANN}: a line through the nine rows of table A3 (within 3.4 %); the paper prints the "
    "exponent 0.49 and no coefficient",
)
HOFFMANN_2022 = LossLaw(
    "Chinchilla, approach 3",
    1.69337368,
    406.401018,
    410.722827,
    0.33917084,
    0.2849083,
    f"{_HOFFMANN}, equation 10, with the digits of its TeX source: with the printed 0.34 and 0.28 "
    "the best size is up to 30 % off the paper's own table A3",
)
HOFFMANN_2022_PRINTED = LossLaw(
    "Chinchilla, approach 3, as printed",
    1.69,
    406.4,
    410.7,
    0.34,
    0.28,
    f"{_HOFFMANN}, equation 10",
)
BESIROGLU_2024 = LossLaw(
    "Chinchilla, approach 3, fitted again",
    1.8172,
    482.01,
    2085.43,
    0.3478,
    0.3658,
    "Besiroglu et al. 2024, Chinchilla Scaling: A replication attempt, arXiv:2404.10102",
)
"""The default: approach 3 as published contradicts approaches 1 and 2 of the same paper and the
model it is named after (59 tokens a parameter at Chinchilla's compute, where 20 were taken); fitted
again to the paper's own runs it agrees with all three."""
MUENNIGHOFF_2023 = LossLaw(
    "C4",
    math.exp(0.6254804),
    math.exp(6.255414),
    math.exp(7.3049974),
    0.3526596,
    0.3526596,
    "Muennighoff et al. 2023, Scaling Data-Constrained Language Models, arXiv:2305.16264, "
    "appendix A",
)


# -- tokens that are seen several times ------------------------------------------------------------

REPEATED_TOKENS = 15.387756
"""R*_D: repetitions after which those so far are worth 1 - 1/e of new tokens on average."""
EXCESS_PARAMETERS = 5.309743
"""R*_N: the same for parameters beyond what is best for the unique tokens."""


def effective_tokens(unique: float, tokens: float) -> float:
    """Return how many new tokens are worth as much as these, of which some are repeated.

        U + U R* (1 - exp(-R / R*)),   R = tokens / U - 1 repetitions

    Args:
        unique: Different tokens that there are.
        tokens: Seen in training.

    Returns:
        Tokens; `tokens` if none is repeated, at most 16.4 times `unique`.

    Source:
        Muennighoff et al. 2023 (arXiv:2305.16264), equation 5; constants from its appendix A,
        fitted to C4 (English) with dropout and weight decay, at most 9B parameters.
    """
    return _with_excess(min(unique, tokens), tokens, REPEATED_TOKENS)


def loss_with_repetition(law: LossLaw, parameters: float, tokens: float, unique: float) -> float:
    """Return the loss where tokens are repeated, which also makes large models worth less.

    Args:
        law: Of tokens that are seen once.
        parameters: Of the model.
        tokens: Seen in training.
        unique: Different ones.

    Returns:
        Nats a token; that of the law if none is repeated and the model is not too large for them.

    Source:
        Muennighoff et al. 2023 (arXiv:2305.16264), equations 5 and 6. Deviates: their two
        decay constants are used with any law, also with one they were not fitted with.
    """
    seen_once = min(unique, tokens)
    base = min(parameters, law.best_size_for_tokens(seen_once))
    size = _with_excess(base, parameters, EXCESS_PARAMETERS)
    return law.loss(size, effective_tokens(unique, tokens))


def _with_excess(base: float, amount: float, decay: float) -> float:
    return base - base * decay * math.expm1(-(amount / base - 1) / decay)


def optimum_with_repetition(law: LossLaw, flops: float, unique: float) -> Allocation:
    """Return the allocation of least loss where there are only so many different tokens.

    Args:
        law: Of tokens that are seen once.
        flops: Training operations.
        unique: Different tokens; more than 0.

    Returns:
        That of the law where there are tokens enough for it; else a smaller model that sees them
        more often.

    Raises:
        InputError: An input is impossible.
    """
    check_number(unique, where="unique tokens", above=0)
    best = law.optimum(flops)
    if best.tokens <= unique:
        return best

    def loss(size: float) -> float:
        return loss_with_repetition(law, size, flops / TRAIN_FLOPS / size, unique)

    size = _golden_section(loss, best.parameters / 1000, best.parameters * 10)
    return Allocation(size, flops / TRAIN_FLOPS / size)


def _golden_section(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one minimum has it, searched in the logarithm."""
    share = (math.sqrt(5) - 1) / 2
    for _ in range(100):
        step = (high / low) ** share
        if function(high / step) <= function(low * step):
            high = low * step
        else:
            low = high / step
    return math.sqrt(low * high)
