"""Documents of packed rows as rows of their own, for models that cannot tell them apart.

    packed   a a a b b c      unpacked   a a a .
             d d d d e -                 b b . .    a model as its authors use it: padded rows,
                                         c . . .    a 2-D mask, positions counted by the model
                                         d d d d
                                         e . . .

Shapes: B rows, T tokens, N documents, L tokens of the longest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hunmin.data.batch import PairBatch, TokenBatch, segment_positions

_SEGMENTS = 1 << 32
"""More than a row has tokens."""


@dataclass(frozen=True)
class Unpacking:
    """Where the tokens of packed rows go.

    Args:
        tokens: Which tokens of the flattened rows are no padding, int64, shape (M,).
        documents: Number of each one's document, int64, shape (M,).
        places: Place of each one in it, int64, shape (M,).
        keys: Row and number of each document in one, increasing, int64, shape (N,).
        longest: L.
        shape: B and T.
    """

    tokens: Tensor
    documents: Tensor
    places: Tensor
    keys: Tensor
    longest: int
    shape: tuple[int, int]

    @property
    def num_documents(self) -> int:
        """N."""
        return len(self.keys)

    def unpack(self, packed_BT: Tensor) -> Tensor:
        """Return the documents as rows, 0 behind them; shape (N, L)."""
        rows = packed_BT.new_zeros(self.num_documents, self.longest)
        rows[self.documents, self.places] = packed_BT.flatten()[self.tokens]
        return rows

    def mask(self) -> Tensor:
        """Return where a document has tokens, int64, shape (N, L)."""
        rows = self.tokens.new_zeros(self.num_documents, self.longest)
        rows[self.documents, self.places] = 1
        return rows

    def pack(self, states_NLD: Tensor) -> Tensor:
        """Return states where the tokens came from, 0 in padding; shape (B, T, D)."""
        packed = states_NLD.new_zeros(self.shape[0] * self.shape[1], states_NLD.shape[-1])
        packed = packed.index_put((self.tokens,), states_NLD[self.documents, self.places])
        return packed.view(*self.shape, -1)


def unpacking_of(segment_ids: Tensor) -> Unpacking:
    """Find the documents of packed rows.

    Args:
        segment_ids: Number of the document within the row, -1 in padding, shape (B, T).

    Returns:
        The documents, row by row and from left to right.
    """
    is_token = segment_ids >= 0
    places = segment_positions(segment_ids)
    documents = ((places == 0) & is_token).flatten().cumsum(0) - 1
    tokens = is_token.flatten().nonzero().squeeze(1)
    own_places = places.flatten()[tokens]
    rows = torch.arange(len(segment_ids), device=segment_ids.device).unsqueeze(1)
    keys = (rows * _SEGMENTS + segment_ids).flatten()[tokens[own_places == 0]]
    return Unpacking(
        tokens,
        documents[tokens],
        own_places,
        keys,
        int(own_places.max()) + 1 if len(tokens) else 0,
        (segment_ids.shape[0], segment_ids.shape[1]),
    )


def unpacked_encoder_states(model: PreTrainedModel, batch: TokenBatch) -> Tensor:
    """Return the last hidden states of an encoder that sees each document as a row of its own.

    Args:
        model: An encoder.
        batch: Packed rows.

    Returns:
        Shape (B, T, D); 0 in padding.
    """
    unpacking = unpacking_of(batch.segment_ids)
    output = model.base_model(
        input_ids=unpacking.unpack(batch.input_ids), attention_mask=unpacking.mask()
    )
    return unpacking.pack(output.last_hidden_state)


def unpacked_sequence_states(model: PreTrainedModel, batch: PairBatch) -> Tensor:
    """Return the decoder's last hidden states, each pair of documents as a row of its own.

    Args:
        model: An encoder-decoder.
        batch: Packed rows; every segment of the decoder has one in the encoder.

    Returns:
        Shape (B, T, D); 0 in padding.
    """
    read, said = unpacking_of(batch.segment_ids), unpacking_of(batch.decoder_segment_ids)
    mask, own = read.mask(), torch.searchsorted(read.keys, said.keys)
    encoded = model.get_encoder()(input_ids=read.unpack(batch.input_ids), attention_mask=mask)
    output = model.get_decoder()(
        input_ids=said.unpack(batch.decoder_input_ids),
        attention_mask=said.mask(),
        encoder_hidden_states=encoded.last_hidden_state[own],
        encoder_attention_mask=mask[own],
        use_cache=False,
    )
    return said.pack(output.last_hidden_state)
