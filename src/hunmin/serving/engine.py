"""Generation with one model: prompts in, text out, whole or as a stream.

caller ── generate · stream · submit ──> Engine ── queue ──> worker thread (Scheduler)
                                                                 │ Runner: model, row cache
         deliver(Chunk) <── TextStream: bytes, stop strings <────┘ sampling: one id per text
"""

from __future__ import annotations

import queue
import secrets
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from hunmin.core.errors import ContextLengthError, InputError
from hunmin.core.hashing import seed_from
from hunmin.serving.events import Chunk, Completion, join_chunks
from hunmin.serving.runner import Runner
from hunmin.serving.scheduler import Scheduler
from hunmin.serving.sequence import Sequence as TextSequence
from hunmin.serving.spec import SamplingParams
from hunmin.serving.text import ByteTable, TextStream, Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Prompt = str | Sequence[int]


class Job:
    """A request in the engine."""

    def __init__(self, sequences: list[TextSequence], scheduler: Scheduler) -> None:
        self._sequences = sequences
        self._scheduler = scheduler

    @property
    def num_texts(self) -> int:
        """How many texts it asked for."""
        return len(self._sequences)

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled."""
        return any(sequence.is_cancelled for sequence in self._sequences)

    def cancel(self) -> None:
        """Stop work on what is not finished; nothing more is delivered."""
        for sequence in self._sequences:
            sequence.is_cancelled = True
        self._scheduler.wake()


class Engine:
    """Continues texts with one model; safe to use from several threads.

    Args:
        model: A causal language model of transformers, on the device where it is to run.
        tokenizer: The model's tokenizer.
        num_rows: How many texts are continued at the same time.
        max_waiting: A request is refused while this many texts wait.

    Raises:
        InputError: The model is of a kind that the engine cannot run, or has fewer ids than the
            tokenizer.

    Note:
        Memory: the weights, and keys and values for `num_rows` texts as long as they get.
        Requests that arrive while others run join them at the next token.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        *,
        num_rows: int = 16,
        max_waiting: int = 64,
    ) -> None:
        _refuse_other_tokenizer(model, tokenizer)
        runner = Runner(
            model,
            num_tokens=tokenizer.size,
            boundary_id=tokenizer.boundary_id,
            num_rows=num_rows,
        )
        self.tokenizer = tokenizer
        self.table = ByteTable(tokenizer)
        self.context = runner.context
        self._scheduler = Scheduler(runner, max_waiting=max_waiting)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def num_running(self) -> int:
        """Number of texts that are being continued."""
        return self._scheduler.num_running

    @property
    def num_waiting(self) -> int:
        """Number of texts that wait."""
        return self._scheduler.num_waiting

    @property
    def is_alive(self) -> bool:
        """Whether requests are taken."""
        return self._scheduler.is_alive

    def close(self) -> None:
        """Stop the engine; texts that are not done end with an error."""
        self._scheduler.close()

    def encode(self, prompt: Prompt, *, add_boundary: bool = True) -> tuple[int, ...]:
        """Give the ids that a prompt stands for.

        Args:
            prompt: A text, or ids, which are taken as they are.
            add_boundary: Begin a text as every document began in training, with the boundary id.

        Returns:
            At least one id.

        Raises:
            InputError: There is no id, or one that the tokenizer does not have.
            ContextLengthError: There are more ids than the model has positions.
        """
        if isinstance(prompt, str):
            start = [self.tokenizer.boundary_id] if add_boundary else []
            prompt = start + list(self.tokenizer.encode(prompt))
        self._check_ids(prompt)
        return tuple(prompt)

    def generate(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams | None = None,
        *,
        num_samples: int = 1,
    ) -> list[Completion]:
        """Continue prompts.

        Args:
            prompts: Texts or ids.
            params: How to choose tokens and when to end; the defaults if None.
            num_samples: Texts for each prompt.

        Returns:
            The samples of the first prompt, then those of the second, and so on.
        """
        chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        encoded = [self.encode(prompt) for prompt in prompts]
        job = self.submit(encoded, params, num_samples=num_samples, deliver=chunks.put)
        return join_chunks(_read(job, chunks))

    def stream(self, prompt: Prompt, params: SamplingParams | None = None) -> Iterator[Chunk]:
        """Continue one prompt, giving each piece of text as soon as it is certain.

        Args:
            prompt: A text or ids.
            params: How to choose tokens and when to end; the defaults if None.

        Yields:
            Chunks; leaving the loop early stops the generation.
        """
        chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        job = self.submit([self.encode(prompt)], params, deliver=chunks.put)
        for chunk in _read(job, chunks):
            if chunk.error is not None:
                raise chunk.error
            yield chunk

    def submit(
        self,
        prompts: Sequence[tuple[int, ...]],
        params: SamplingParams | None = None,
        *,
        num_samples: int = 1,
        scores_prompt: bool = False,
        deliver: Callable[[Chunk], None],
    ) -> Job:
        """Queue a request and return at once.

        Args:
            prompts: Ids, as `encode` gives them.
            params: How to choose tokens and when to end; the defaults if None.
            num_samples: Texts for each prompt.
            scores_prompt: Give the log-probability of the prompt's tokens too.
            deliver: Called on the engine's thread with each chunk; must not block or raise.

        Returns:
            The request, which can be cancelled.

        Note:
            Sample k depends on the prompt, the settings, the seed and k, not on other prompts.
        """
        params = params or SamplingParams()
        seed = secrets.randbits(63) if params.seed is None else params.seed
        sequences = [
            self._sequence(number * num_samples + sample, prompt, params, scores_prompt,
                           seed=seed_from("sample", seed, sample), deliver=deliver)
            for number, prompt in enumerate(prompts)
            for sample in range(num_samples)
        ]  # fmt: skip
        self._scheduler.add(sequences)
        return Job(sequences, self._scheduler)

    def _sequence(
        self,
        index: int,
        prompt: tuple[int, ...],
        params: SamplingParams,
        scores_prompt: bool,
        *,
        seed: int,
        deliver: Callable[[Chunk], None],
    ) -> TextSequence:
        # The last token is not read again, so it needs no position of its own.
        room = self.context - len(prompt) + 1
        return TextSequence(
            index,
            prompt,
            params.model_copy(update={"max_tokens": min(params.max_tokens, room)}),
            text=TextStream(self.table, params.stop),
            boundary_id=self.tokenizer.boundary_id,
            seed=seed,
            scores_prompt=scores_prompt,
            deliver=deliver,
        )

    def _check_ids(self, ids: Sequence[int]) -> None:
        if not ids:
            raise InputError("the prompt is empty", hint="give at least one token")
        if len(ids) > self.context:
            raise ContextLengthError(
                "the prompt is longer than the model's context",
                given=f"{len(ids)} tokens",
                allowed=f"{self.context} tokens",
                hint="shorten the prompt",
            )
        unknown = [token_id for token_id in ids if not 0 <= token_id < self.tokenizer.size]
        if unknown:
            raise InputError(
                "the tokenizer has no such token",
                given=f"id {unknown[0]}",
                allowed=f"ids from 0 to {self.tokenizer.size - 1}",
                hint="encode the prompt with this model's own tokenizer",
            )


def _read(job: Job, chunks: queue.SimpleQueue[Chunk]) -> Iterator[Chunk]:
    """Yield a job's chunks until all of its texts are over; cancel it if nobody reads on."""
    num_open = job.num_texts
    try:
        while num_open:
            chunk = chunks.get()
            num_open -= chunk.is_last
            yield chunk
    finally:
        if num_open:
            job.cancel()


def _refuse_other_tokenizer(model: PreTrainedModel, tokenizer: Tokenizer) -> None:
    num_ids = int(model.get_output_embeddings().weight.shape[0])
    if tokenizer.size > num_ids:
        raise InputError(
            "the tokenizer has more tokens than the model has outputs",
            given=f"{tokenizer.size} tokens",
            allowed=f"at most {num_ids}",
            hint="use the tokenizer that the model was trained with",
        )
