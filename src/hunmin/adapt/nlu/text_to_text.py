"""Models that write intents and slots as text: encoder–decoders and decoders.

Annotate: wake me at nine am ─> Other Other Other time time alarm_set
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.adapt.nlu.body import context_of, with_dropout
from hunmin.adapt.nlu.data_set import DataSet, read_data
from hunmin.adapt.nlu.decode import Parse
from hunmin.adapt.nlu.encode import Integers, open_tokenizer
from hunmin.adapt.nlu.examples import IGNORED, frame_of, label_config
from hunmin.adapt.nlu.joint_task import dev_scores, predictions_of
from hunmin.adapt.nlu.results import count_parameters, fit_and_test, set_up
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.adapt.nlu.text_labels import OUTSIDE_LABEL, TextConfig, target_of
from hunmin.adapt.nlu.text_model import TEXT_MODEL_KIND, TextModel, pad_rows
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.artifact import Artifact, check_output, load_artifact, write_artifact
from hunmin.core.atomic import explain_disk_full
from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.logs import get_logger
from hunmin.data.objectives.base import Layout
from hunmin.models.architecture import layout_of
from hunmin.models.load import load_unchanged
from hunmin.models.quiet import without_progress_bars
from hunmin.tokenizer.extend import known_inputs
from hunmin.tokenizer.load import copy_tokenizer

logger = get_logger(__name__)


class TextTask:
    """Fits a model that writes labels.

    Args:
        model: The model.
        train: What is learnt.
        dev: What chooses the epoch.

    Raises:
        EmptyCorpusError: No training utterance fits the model with its labels.
    """

    def __init__(
        self, model: TextModel, train: Sequence[Utterance], dev: Sequence[Utterance]
    ) -> None:
        self.model = model
        self.dev = dev
        prompts = model.prompts([m.utt for m in train], [m.locale for m in train])
        encoded = model.tokenizer.encode_batch(
            [target_of(made) for made in train], add_special_tokens=False
        )
        self._prompts = [one.ids for one in prompts]
        self._targets = [(*one.ids, model.config.end_id) for one in encoded]
        self._num_left_out = 0
        self._leave_out_long(np.array([one.truncated_at is not None for one in prompts]))

    def _leave_out_long(self, is_cut: npt.NDArray[np.bool_]) -> None:
        """Keep what fits: of a part of an utterance nobody knows the labels of the whole."""
        limit = context_of(self.model.network)
        is_long = is_cut if limit is None else is_cut | (self.lengths > limit)
        kept = np.flatnonzero(~is_long).tolist()
        if not kept:
            raise EmptyCorpusError(
                "no training utterance fits the model with its labels",
                where="nlu.style",
                given=f"{self.lengths.min()} tokens in the shortest",
                allowed=f"prompts up to {self.model.config.max_tokens} tokens (nlu.max_tokens)"
                + (f", up to {limit} with labels" if limit is not None else ""),
                hint="take a model with more positions, or style=heads (nlu.style: heads)",
            )
        self._prompts = [self._prompts[row] for row in kept]
        self._targets = [self._targets[row] for row in kept]
        self._num_left_out = int(is_long.sum())
        if self._num_left_out:
            logger.warning(
                "%d of %d training utterances are left out: they do not fit the model with their "
                "labels",
                self._num_left_out,
                len(is_long),
            )

    def counts(self) -> dict[str, int]:
        """Return for reports how many utterances are learnt and left out."""
        return {"utterances": len(self._prompts), "left_out_too_long": self._num_left_out}

    @property
    def network(self) -> nn.Module:
        """The model."""
        network: nn.Module = self.model.network
        return network

    @property
    def lengths(self) -> Integers:
        """Tokens of each example: the longer side of an encoder–decoder, both of a decoder."""
        pairs = zip(self._prompts, self._targets, strict=True)
        join = max if self.model.is_sequence else sum
        return np.array([join((len(p), len(t))) for p, t in pairs], dtype=np.int64)

    def loss(self, rows: Integers, whole: Integers) -> tuple[Tensor, dict[str, float]]:
        """Return what examples add to the mean loss of a batch; labels of a prompt do not count.

        Args:
            rows: Numbers of the examples of a forward pass.
            whole: Numbers of the examples of the batch.

        Returns:
            A mean over the written tokens, and no parts.
        """
        num_tokens = sum(len(self._targets[row]) for row in whole)
        return self._sum(rows) / num_tokens, {}

    def _sum(self, rows: Integers) -> Tensor:
        prompts = [self._prompts[row] for row in rows]
        targets = [self._targets[row] for row in rows]
        if self.model.is_sequence:
            return self._sequence_loss(prompts, targets)
        whole = [prompt + target for prompt, target in zip(prompts, targets, strict=True)]
        wanted = [
            (IGNORED,) * (len(prompt) - 1) + target
            for prompt, target in zip(prompts, targets, strict=True)
        ]
        ids, mask = pad_rows([row[:-1] for row in whole], self.model.config.pad_id)
        return self._cross_entropy(wanted, input_ids=ids, attention_mask=mask)

    def _sequence_loss(
        self, prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> Tensor:
        config = self.model.config
        ids, mask = pad_rows(prompts, config.pad_id)
        said, _ = pad_rows([[config.start_id, *row[:-1]] for row in targets], config.pad_id)
        return self._cross_entropy(
            targets, input_ids=ids, attention_mask=mask, decoder_input_ids=said
        )

    def _cross_entropy(self, wanted: Sequence[Sequence[int]], **inputs: Tensor) -> Tensor:
        device = self.model.network.device
        there = {name: tensor.to(device) for name, tensor in inputs.items()}
        logits = self.model.network(**there, use_cache=False).logits.float().flatten(0, 1)
        labels = pad_rows(wanted, IGNORED)[0].to(device).flatten()
        return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")

    def evaluate(self) -> dict[str, float]:
        """Return scores on the dev utterances, averaged over their locales."""
        return dev_scores(self.dev, predictions_of(self.dev, self.parse(self.dev)))

    def parse(self, utterances: Sequence[Utterance]) -> list[Parse | None]:
        """Parse utterances; labels are not looked at."""
        texts = [made.utt for made in utterances]
        return self.model.parse(texts, [made.locale for made in utterances])

    def count_truncated(
        self, utterances: Sequence[Utterance], parses: Sequence[Parse | None]
    ) -> int:
        """Return how many utterances are read only in part, those without a parse too."""
        texts = [made.utt for made in utterances]
        prompts = self.model.prompts(texts, [made.locale for made in utterances])
        return sum(one.truncated_at is not None for one in prompts)


def finetune_text(
    spec: NluSpec,
    body: Path,
    output: Path,
    *,
    folder: Path,
    device: str | None,
    recipe: Mapping[str, Any],
) -> Artifact:
    """Train a model that writes intents and slots, test it and write it.

    Args:
        spec: Data and settings, with style text; settings of heads do not matter.
        body: Folder of an encoder–decoder or a decoder with its tokenizer.
        output: Folder of the model.
        folder: Where metrics and the checkpoint lie while it trains.
        device: Where to train; None for the first GPU, else the CPU.
        recipe: What the manifest says decided the content.

    Returns:
        The artifact, of kind nlu-text-model, with the same report as one with heads.

    Raises:
        InputError: Data or body cannot be used.
        TrainingDivergedError: The loss is not a number any more.

    Note:
        Labels are not added to the vocabulary. Neighbouring slots of one type become one, as in
        the published form.
    """
    place = set_up(spec, device)
    inputs = known_inputs(body)
    check_output(output, TEXT_MODEL_KIND, inputs)
    data = read_data(spec)
    model = _build_model(spec, body, data, place)
    task = TextTask(model, data.train, data.dev)
    results = fit_and_test(
        spec,
        task,
        data,
        body,
        folder,
        place,
        counts=task.counts(),
        parameters=count_parameters(model.network, model.network),
    )
    with write_artifact(output, TEXT_MODEL_KIND, recipe=recipe, inputs=inputs) as draft:
        _write_model(model, body, draft.path)
        results.write(draft.path, output.name)
        draft.facts.update(results.facts(), malformed=results.report.num_malformed)
    results.fit.forget_checkpoint()
    return load_artifact(output, TEXT_MODEL_KIND, verify=False)


def _build_model(spec: NluSpec, body: Path, data: DataSet, device: torch.device) -> TextModel:
    torch.manual_seed(spec.seed)
    network = with_dropout(_load(body), spec.hidden_dropout, spec.attention_dropout).to(device)
    tokenizer = open_tokenizer(body)
    return TextModel(network, _make_config(spec, network, body, tokenizer, data), tokenizer)


def _write_model(model: TextModel, body: Path, folder: Path) -> None:
    with explain_disk_full(folder), without_progress_bars():
        model.network.save_pretrained(folder)
    model.config.write(folder)
    copy_tokenizer(body, folder)


def _load(body: Path) -> PreTrainedModel:
    network = load_unchanged(body).float()
    if layout_of(network.config) is Layout.ALIGNED:
        raise InputError(
            "an encoder writes no text",
            where=body,
            given=type(network).__name__,
            allowed="an encoder–decoder or a decoder with its language model head",
            hint="set style: heads, or name another body",
        )
    return network


def _end_id(known: int | list[int] | None, around: Sequence[int], body: Path) -> int:
    """Return what ends a text: as the model says, else a token that stands around texts."""
    ends = [known] if isinstance(known, int) else [*(known or ()), *around]
    if not ends:
        raise InputError(
            "this model has no token that ends a text",
            where=body,
            hint="set eos_token_id in config.json, or take another body",
        )
    return ends[0]


def _make_config(
    spec: NluSpec,
    network: PreTrainedModel,
    body: Path,
    tokenizer: Tokenizer,
    data: DataSet,
) -> TextConfig:
    prefix, suffix, pad = frame_of(body, tokenizer)
    intents, slot_types = label_config(data.train)
    settings = network.config
    end = _end_id(settings.eos_token_id, (*suffix, *prefix), body)
    start = getattr(settings, "decoder_start_token_id", None)
    labels = tokenizer.encode_batch(
        [f" {label}" for label in (*intents, *slot_types, OUTSIDE_LABEL)], add_special_tokens=False
    )
    limit = context_of(network) or spec.max_tokens
    share = limit if layout_of(settings) is Layout.SEQUENCE else math.ceil(limit / 2)
    return TextConfig(
        intents=intents,
        slot_types=slot_types,
        text_form=spec.text_form,
        max_tokens=min(spec.max_tokens, share),
        prefix_ids=prefix,
        suffix_ids=suffix,
        start_id=end if start is None else start,
        end_id=end,
        pad_id=pad,
        max_label_tokens=max(len(one.ids) for one in labels),
        num_beams=spec.num_beams,
        train_locales=data.train_locales,
        selection_locales=data.selection_locales,
    )
