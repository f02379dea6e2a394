"""A model that writes intents and slots as text: how it is asked, and its folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoConfig, GenerationConfig, PreTrainedModel

from hunmin.adapt.nlu.body import context_of
from hunmin.adapt.nlu.decode import Parse
from hunmin.adapt.nlu.encode import open_tokenizer
from hunmin.adapt.nlu.text_labels import TextConfig, prompt_of, read_output, read_text_config
from hunmin.adapt.nlu.text_prompts import Prompt, fit_prompt
from hunmin.core.artifact import load_artifact
from hunmin.data.objectives.base import Layout
from hunmin.models.architecture import language_model_class, layout_of
from hunmin.models.quiet import without_progress_bars
from hunmin.text.languages import normalize_tag

TEXT_MODEL_KIND = "nlu-text-model"
_SEPARATOR = "\n"
_BATCH = 32


@dataclass(frozen=True)
class TextModel:
    """A model that writes labels.

    Args:
        network: An encoder–decoder or a decoder.
        config: Its labels.
        tokenizer: Its tokenizer.
    """

    network: PreTrainedModel
    config: TextConfig
    tokenizer: Tokenizer

    def __post_init__(self) -> None:
        """Forget how the body generated, often by sampling: every call says all there is to say."""
        self.network.generation_config = GenerationConfig()

    @property
    def is_sequence(self) -> bool:
        """Whether it is an encoder–decoder."""
        return layout_of(self.network.config) is Layout.SEQUENCE

    def prompts(self, texts: Sequence[str], locales: Sequence[str]) -> list[Prompt]:
        """Return what is asked about texts, at most `max_tokens` each."""
        config = self.config
        end = "" if self.is_sequence else _SEPARATOR
        asked = [
            prompt_of(text, locale, config.text_form) + end
            for text, locale in zip(texts, locales, strict=True)
        ]
        room = config.max_tokens - len(config.prefix_ids) - len(config.suffix_ids)
        suffix = config.suffix_ids if self.is_sequence else ()
        found = self.tokenizer.encode_batch(asked, add_special_tokens=False)
        fitting = [
            fit_prompt(encoded, text, locale, room)
            for encoded, text, locale in zip(found, texts, locales, strict=True)
        ]
        return [
            Prompt((*config.prefix_ids, *one.ids, *suffix), one.truncated_at) for one in fitting
        ]

    def parse(self, texts: Sequence[str], locales: Sequence[str] | str = "") -> list[Parse | None]:
        """Find intent and slots of texts.

        Args:
            texts: None empty.
            locales: The locale of each, or of all.

        Returns:
            One parse for each; None where the output is none.

        Raises:
            InputError: A text is empty, or a locale is no language tag.
        """
        if isinstance(locales, str):
            locales = [locales] * len(texts)
        for locale in set(locales) - {""}:
            normalize_tag(locale)
        prompts = self.prompts(texts, locales)
        parses: list[Parse | None] = [None] * len(texts)
        order = sorted(range(len(texts)), key=lambda row: -len(prompts[row].ids))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            most = max(len(texts[row].split()) if locales[row] else len(texts[row]) for row in rows)
            written = self._write([prompts[row].ids for row in rows], self._room(most))
            for row, (output, score) in zip(rows, written, strict=True):
                cut = prompts[row].truncated_at
                parse = read_output(output, texts[row][:cut], locales[row], self.config, score)
                parses[row] = None if parse is None else replace(parse, truncated_at=cut)
        return parses

    def _room(self, num_words: int) -> int:
        """Tokens that may be written, within the positions of the model."""
        wanted = (num_words + 1) * self.config.max_label_tokens
        limit = context_of(self.network) or wanted
        room = limit - 1 if self.is_sequence else limit - self.config.max_tokens
        return max(1, min(wanted, room))

    @torch.no_grad()
    def _write(self, prompts: Sequence[Sequence[int]], room: int) -> list[tuple[str, float]]:
        config, device = self.config, self.network.device
        # What is written follows the last token: a decoder's rows are filled on their left.
        ids, mask = pad_rows(prompts, config.pad_id, on_left=not self.is_sequence)
        start = {"decoder_start_token_id": config.start_id} if self.is_sequence else {}
        how = GenerationConfig(
            max_new_tokens=room,
            num_beams=config.num_beams,
            do_sample=False,
            eos_token_id=config.end_id,
            pad_token_id=config.pad_id,
            return_dict_in_generate=True,
            output_scores=True,
            **start,
        )
        output: Any = self.network.generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=how
        )
        skipped = 1 if self.is_sequence else ids.shape[1]
        rows = output.sequences[:, skipped:].tolist()
        shares = self.network.compute_transition_scores(
            output.sequences,
            output.scores,
            getattr(output, "beam_indices", None),
            normalize_logits=True,
        )
        return [self._read(row, steps) for row, steps in zip(rows, shares.tolist(), strict=True)]

    def _read(self, row: Sequence[int], steps: Sequence[float]) -> tuple[str, float]:
        """Return a text and its probability, the end included; what fills the row has no say."""
        written = _until(row, self.config.end_id)
        text = self.tokenizer.decode(written, skip_special_tokens=True)
        return text, math.exp(sum(steps[: len(written) + 1]))


def _until(row: Sequence[int], end_id: int) -> list[int]:
    return list(row[: row.index(end_id)]) if end_id in row else list(row)


def pad_rows(
    rows: Sequence[Sequence[int]], fill: int, *, on_left: bool = False
) -> tuple[Tensor, Tensor]:
    """Put rows of different length into one tensor.

    Args:
        rows: At least one.
        fill: What fills them.
        on_left: Fill them on their left.

    Returns:
        The rows and a mask, 1 where they are; int64, shape (B, T).
    """
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), fill)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        part = slice(longest - len(row), longest) if on_left else slice(0, len(row))
        ids[number, part], mask[number, part] = torch.tensor(row), 1
    return ids, mask


def load_text_model(path: Path, *, device: torch.device | str = "cpu") -> TextModel:
    """Open a trained model that writes labels.

    Args:
        path: Its folder.
        device: Where it shall lie.

    Returns:
        The model, in evaluation mode.

    Raises:
        ArtifactKindError: It is no such model.
        CorruptArtifactError: A file is damaged.
    """
    load_artifact(path, TEXT_MODEL_KIND)
    config = read_text_config(path)
    network = _load_checked(path).float().to(device).eval()
    return TextModel(network, config, open_tokenizer(path))


def _load_checked(path: Path) -> PreTrainedModel:
    """Open the model of our own folder, whose checksums were compared already."""
    config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    with without_progress_bars():
        network: PreTrainedModel = language_model_class(config).from_pretrained(
            path, use_safetensors=True, local_files_only=True, trust_remote_code=False
        )
    return network
