"""The model at work: prompts in, one token for every running text at each step."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from hunmin.core.errors import InputError
from hunmin.serving.cache import RowCache
from hunmin.serving.events import TokenScore
from hunmin.serving.sampling import choose_tokens, score_tokens
from hunmin.serving.sequence import Sequence

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MAX_PREFILL_TOKENS = 2048


class Runner:
    """Runs a causal language model of transformers over several texts of different lengths.

    Args:
        model: The model; it is put into evaluation mode.
        num_tokens: Ids from here on are padding of the vocabulary and are never chosen.
        boundary_id: Id that ends a text.
        num_rows: How many texts run at the same time.

    Raises:
        InputError: The model keeps a state that cannot be kept for each text separately.

    Note:
        Not thread-safe; one thread calls `start`, `step` and `clear` under `torch.inference_mode`.
    """

    def __init__(
        self, model: PreTrainedModel, *, num_tokens: int, boundary_id: int, num_rows: int
    ) -> None:
        _refuse_unsuitable(model)
        self.context = _usable_context(model.config)
        self.running: list[Sequence] = []
        self._model = model.eval()
        self._num_tokens = num_tokens
        self._boundary_id = boundary_id
        self._num_rows = num_rows
        self._cache = RowCache(model.config.num_hidden_layers)

    @property
    def num_free(self) -> int:
        """How many more texts may be started."""
        return self._num_rows - len(self.running)

    def start(self, sequences: list[Sequence]) -> None:
        """Read prompts and give each text its first token.

        Args:
            sequences: At most `num_free` new texts.
        """
        for sequence in sequences:
            if sequence.params.max_tokens == 0 and not sequence.scores_prompt:
                sequence.finish_empty()
        waiting = sorted((s for s in sequences if not s.is_over), key=lambda s: len(s.prompt_ids))
        for group in _groups_of_similar_length(waiting):
            self._read_prompts(group)

    def step(self) -> None:
        """Give every running text its next token; texts that are over make room."""
        self._release()
        if not self.running:
            return
        lengths_N = self._tensor([sequence.num_cached for sequence in self.running])
        newest_N = self._tensor([sequence.token_ids[-1] for sequence in self.running])
        output = self._model(
            input_ids=newest_N[:, None],
            attention_mask=self._cache.begin_step(lengths_N),
            position_ids=lengths_N[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        self._choose(output.logits[:, -1], self.running)
        self._release()

    def clear(self) -> list[Sequence]:
        """Forget all running texts, free their memory and return them."""
        cleared, self.running = self.running, []
        self._cache = RowCache(self._model.config.num_hidden_layers)
        return cleared

    def _read_prompts(self, group: list[Sequence]) -> None:
        prompts = list(dict.fromkeys(sequence.prompt_ids for sequence in group))
        number = {prompt: place for place, prompt in enumerate(prompts)}
        numbers_N = self._tensor([number[sequence.prompt_ids] for sequence in group])
        cache = DynamicCache()
        logits, last_N = self._forward_prompts(prompts, cache, any(s.scores_prompt for s in group))
        for sequence, place in zip(group, numbers_N.tolist(), strict=True):
            if sequence.scores_prompt:
                sequence.accept_prompt_scores(self._score_prompt(sequence, logits[place]))
            if sequence.params.max_tokens == 0:
                sequence.finish_empty()
        self._choose(logits[numbers_N, last_N[numbers_N]], group)
        going_on = [place for place, sequence in enumerate(group) if not sequence.is_over]
        if going_on:
            self._cache.store(len(self.running), cache, numbers_N[going_on])
            self.running += [group[place] for place in going_on]

    def _forward_prompts(
        self, prompts: list[tuple[int, ...]], cache: DynamicCache, all_logits: bool
    ) -> tuple[Tensor, Tensor]:
        """Return logits (prompts, kept places, V) and the kept place of each prompt's last token.

        Prompts are padded on the right: a causal model's real tokens never see what follows them,
        so no mask is needed and the fast kernel is used.
        """
        last = [len(prompt) - 1 for prompt in prompts]
        padded = [prompt + (0,) * (max(last) + 1 - len(prompt)) for prompt in prompts]
        kept = list(range(max(last) + 1)) if all_logits else sorted(set(last))
        output = self._model(
            input_ids=self._tensor(padded),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=self._tensor(kept),
        )
        return output.logits, self._tensor([kept.index(place) for place in last])

    def _score_prompt(self, sequence: Sequence, logits_TV: Tensor) -> list[TokenScore]:
        following = list(sequence.prompt_ids[1:])
        return self._score(logits_TV[: len(following)], following, sequence)

    def _choose(self, logits_NV: Tensor, sequences: list[Sequence]) -> None:
        """Choose, score and deliver a token for every sequence that is not over."""
        going_on = [place for place, sequence in enumerate(sequences) if not sequence.is_over]
        if not going_on:
            return
        sequences = [sequences[place] for place in going_on]
        logits_NV = logits_NV[going_on]
        choices = [s.next_choice(logits_NV.shape[-1], logits_NV.device) for s in sequences]
        chosen_N = choose_tokens(
            logits_NV, choices, num_tokens=self._num_tokens, boundary_id=self._boundary_id
        )
        for row, (sequence, token_id) in enumerate(zip(sequences, chosen_N.tolist(), strict=True)):
            sequence.accept(self._score(logits_NV[row : row + 1], [token_id], sequence)[0])

    def _score(
        self, logits_NV: Tensor, token_ids: list[int], sequence: Sequence
    ) -> list[TokenScore]:
        if sequence.params.logprobs is None:
            return [TokenScore(token_id) for token_id in token_ids]
        return score_tokens(
            logits_NV,
            token_ids,
            num_alternatives=sequence.params.logprobs,
            num_tokens=self._num_tokens,
        )

    def _release(self) -> None:
        """Drop texts that are over; the last row fills a hole, an empty cache gives memory back."""
        for row in reversed(range(len(self.running))):
            if self.running[row].is_over:
                last = self.running.pop()
                if row < len(self.running):
                    self._cache.copy_row(len(self.running), row)
                    self.running[row] = last
        if not self.running:
            self.clear()

    def _tensor(self, values: list[Any]) -> Tensor:
        return torch.tensor(values, device=self._model.device)


def _groups_of_similar_length(sequences: list[Sequence]) -> Iterator[list[Sequence]]:
    """Cut a list sorted by length so that padding costs at most as much as the tokens do."""
    group: list[Sequence] = []
    for sequence in sequences:
        length = len(sequence.prompt_ids)
        too_many = length * (len(group) + 1) > MAX_PREFILL_TOKENS
        if group and (too_many or length > 2 * len(group[0].prompt_ids)):
            yield group
            group = []
        group.append(sequence)
    if group:
        yield group


def _usable_context(config: Any) -> int:
    """Return the number of positions; inside a sliding window, attention is full attention."""
    positions = int(config.max_position_embeddings)
    window = getattr(config, "sliding_window", None)
    return positions if window is None else min(positions, int(window))


def _refuse_unsuitable(model: PreTrainedModel) -> None:
    layer_types = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    other = layer_types - {"full_attention", "sliding_attention"}
    arguments = inspect.signature(model.forward).parameters
    if other or not {"position_ids", "logits_to_keep"} <= set(arguments):
        raise InputError(
            "this engine continues models with causal attention and explicit positions only",
            where=type(model).__name__,
            given=", ".join(sorted(other)) or "a forward() without position_ids or logits_to_keep",
            allowed="for example GPT-2, Llama, Qwen3",
            hint="serve the model's folder with vLLM",
        )
