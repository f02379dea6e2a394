"""The joint model of intent and slots, and its folder.

input_ids, attention_mask ─> body ─> states ─┬─ pool ─> intent head ─> intent_logits (B, I)
                                             └────────> slot head ───> slot_logits (B, T, S)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.adapt.nlu.body import MODEL_KIND, open_body
from hunmin.adapt.nlu.config import HEADS_FILE, NluConfig, Pooling, read_config
from hunmin.adapt.nlu.crf import LinearChain
from hunmin.adapt.nlu.decode import NUM_BEST, Parse, Transitions, decode, read_transitions
from hunmin.adapt.nlu.encode import EncodedUtterance, UtteranceEncoder, by_length, pad_batch
from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.atomic import explain_disk_full
from hunmin.core.errors import ArtifactMismatchError, CorruptArtifactError
from hunmin.models.quiet import without_progress_bars
from hunmin.tokenizer.load import copy_tokenizer

_LEAST = -1e9


class JointModel(nn.Module):
    """A body with two heads.

    Args:
        body: Turns ids into states.
        config: Labels and shape of the heads.
        dropout: Of the heads, before each of their linear layers.

    Source:
        Chen et al. 2019, JointBERT (arXiv:1902.10909); FitzGerald et al. 2022, MASSIVE
        (arXiv:2204.08582) for pooling, feature layer and layers of the heads. Deviations: tags
        are B-, I- and O, and padding is left out of the maximum without touching shared states.
    """

    def __init__(self, body: PreTrainedModel, config: NluConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.pooling: Pooling = config.pooling
        self.feature_layer = config.feature_layer
        width = int(body.config.hidden_size)
        shape = (config.head_layers, config.head_width or width, dropout)
        self.intent = _head(width, len(config.intents), *shape)
        self.slots = _head(width, config.num_tags, *shape)
        self.crf = LinearChain(config.num_tags) if config.crf else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of intents and of tags.

        Args:
            input_ids: int64, shape (B, T).
            attention_mask: 1 for tokens, 0 for padding; int64, shape (B, T).

        Returns:
            intent_logits (B, I) and slot_logits (B, T, S).
        """
        states = self.states(input_ids, attention_mask)
        return self.intent(pool(states, attention_mask, self.pooling)), self.slots(states)

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the states that the heads read, shape (B, T, D)."""
        if self.feature_layer is None:
            output = self.body(input_ids=input_ids, attention_mask=attention_mask)
            last: Tensor = output.last_hidden_state
            return last
        output = self.body(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
        )
        chosen: Tensor = output.hidden_states[self.feature_layer]
        return chosen

    def head_state(self) -> dict[str, Tensor]:
        """Return all weights outside of the body, by name."""
        state = self.state_dict()
        return {name: tensor for name, tensor in state.items() if not name.startswith("body.")}


def _head(width: int, num_labels: int, layers: int, inner: int, dropout: float) -> nn.Sequential:
    steps: list[nn.Module] = []
    for _ in range(layers):
        steps += [nn.Dropout(dropout), nn.Linear(width, inner), nn.GELU()]
        width = inner
    return nn.Sequential(*steps, nn.Dropout(dropout), nn.Linear(width, num_labels))


def pool(states_BTD: Tensor, mask_BT: Tensor, pooling: Pooling) -> Tensor:
    """Make one state of those of an utterance.

    Args:
        states_BTD: States.
        mask_BT: 1 for tokens, 0 for padding.
        pooling: How, see `NluConfig.pooling`.

    Returns:
        Shape (B, D).
    """
    if pooling == "first":
        return states_BTD[:, 0]
    if pooling == "last":
        last = mask_BT.sum(1, keepdim=True) - 1
        return states_BTD.gather(1, last.unsqueeze(2).expand(-1, 1, states_BTD.shape[2]))[:, 0]
    tokens = mask_BT.unsqueeze(2)
    if pooling == "max":
        return states_BTD.masked_fill(tokens == 0, _LEAST).amax(1)
    weights = tokens.to(states_BTD.dtype)
    return (states_BTD * weights).sum(1) / weights.sum(1)


def check_feature_layer(body: PreTrainedModel, layer: int | None) -> None:
    """Refuse a feature layer that a body does not have.

    Args:
        body: The body.
        layer: Number of states; None for the last.

    Raises:
        ArtifactMismatchError: It has fewer blocks.
    """
    blocks = int(body.config.num_hidden_layers)
    if layer is not None and layer > blocks:
        raise ArtifactMismatchError(
            "the heads shall read a layer that the body does not have",
            given=f"feature_layer {layer}",
            allowed=f"0 (embeddings) to {blocks}, or null for the last",
            hint="choose another layer, or settings made for a body of this depth",
        )


@dataclass(frozen=True)
class NluModel:
    """A trained model with all it needs to parse texts.

    Args:
        network: The model, in evaluation mode.
        config: Its labels and shape.
        encoder: Encodes texts.
        transitions: Of its tags, if it has a CRF.
    """

    network: JointModel
    config: NluConfig
    encoder: UtteranceEncoder
    transitions: Transitions | None = None

    def parse(
        self,
        texts: Sequence[str],
        locales: Sequence[str] | str = "",
        *,
        batch_size: int = 64,
        num_best: int = NUM_BEST,
    ) -> list[Parse]:
        """Find intent and slots of texts.

        Args:
            texts: None empty.
            locales: The locale of each, or of all.
            batch_size: Texts of a forward pass.
            num_best: Intents to name.

        Returns:
            One parse for each.

        Raises:
            InputError: A text is empty, or a locale is no language tag.
        """
        encoded = self.encoder.encode(texts, locales)
        parses: list[Parse | None] = [None] * len(encoded)
        for rows in by_length(encoded, batch_size):
            batch = [encoded[row] for row in rows]
            for row, parse in zip(rows, self._parse(batch, num_best), strict=True):
                parses[row] = parse
        return [parse for parse in parses if parse is not None]

    @torch.no_grad()
    def _parse(self, batch: list[EncodedUtterance], num_best: int) -> list[Parse]:
        device = next(self.network.parameters()).device
        ids, mask = pad_batch(batch, self.config.pad_id)
        intents, slots = self.network(
            torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)
        )
        return decode(
            self.config,
            batch,
            intents.float().cpu().numpy(),
            slots.float().cpu().numpy(),
            self.transitions,
            num_best=num_best,
        )


def save_nlu_model(
    network: JointModel,
    config: NluConfig,
    tokenizer_path: Path,
    output: Path,
    *,
    recipe: Mapping[str, Any] | None = None,
    inputs: Sequence[Artifact] = (),
    facts: Mapping[str, Any] | None = None,
    write_more: Callable[[Path], None] | None = None,
) -> Artifact:
    """Write a model folder: body, tokenizer, heads and nlu.json.

    Args:
        network: The model.
        config: Its labels and shape.
        tokenizer_path: Folder with tokenizer.json.
        output: Folder of the artifact.
        recipe: What decided the content.
        inputs: Artifacts it is made from.
        facts: Numbers worth knowing without opening the files.
        write_more: Writes further files into the folder.

    Returns:
        The artifact, of kind nlu-model.

    Raises:
        ArtifactKindError: Something else is at `output`.
        DiskFullError: No space is left.
    """
    config = config.model_copy(update={"body_class": type(network.body).__name__})
    heads = {name: tensor.contiguous().cpu() for name, tensor in network.head_state().items()}
    with write_artifact(output, MODEL_KIND, recipe=recipe, inputs=inputs) as draft:
        with explain_disk_full(draft.path), without_progress_bars():
            network.body.save_pretrained(draft.path)
            save_file(heads, draft.path / HEADS_FILE)
        config.write(draft.path)
        copy_tokenizer(tokenizer_path, draft.path)
        if write_more is not None:
            write_more(draft.path)
        draft.facts.update(facts or {})
    return load_artifact(output, MODEL_KIND, verify=False)


def load_nlu_model(
    path: Path, *, device: torch.device | str = "cpu", verify: bool = True
) -> NluModel:
    """Open a trained model.

    Args:
        path: Its folder.
        device: Where it shall lie.
        verify: Compare the checksums first.

    Returns:
        The model, in evaluation mode.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It is no NLU model.
        CorruptArtifactError: A file is damaged.
    """
    load_artifact(path, MODEL_KIND, verify=verify)
    config = read_config(path)
    network = JointModel(open_body(path), config)
    try:
        heads = load_file(path / HEADS_FILE)
    except SafetensorError as error:
        raise CorruptArtifactError(
            "the heads cannot be read", where=path / HEADS_FILE, given=str(error)
        ) from error
    wrong = network.load_state_dict(heads, strict=False)
    missing = [name for name in wrong.missing_keys if not name.startswith("body.")]
    if missing or wrong.unexpected_keys:
        raise CorruptArtifactError(
            "the heads are not those that nlu.json describes",
            where=path / HEADS_FILE,
            given=", ".join([*missing, *wrong.unexpected_keys][:3]),
            hint="copy the folder again, or train the model again",
        )
    return NluModel(
        network.to(device).eval(),
        config,
        UtteranceEncoder.load(path, config),
        read_transitions(path, config),
    )
