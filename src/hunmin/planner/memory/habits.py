"""What training software does with memory beyond what the mathematics asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Habits:
    """How one program treats memory.

    Args:
        name: For people.
        gathers: Whether parameters are gathered block by block and freed again (FSDP, ZeRO-3); else
            a copy in the precision of matrix products is kept all the time.
        residual_bytes: Bytes of a value of the hidden states between blocks.
        masks_documents: Whether rows hold several documents, so that fused attention reads a mask
            of each row, and keeps it for every block.
        score_bytes: Bytes that plain attention keeps of a score; None for one value in the
            precision of matrix products.
        skips_masked_scores: Whether plain attention leaves out scores of later tokens.
        head_norm_bytes: Bytes that the norm of queries and keys keeps of a value, in models with
            gated feed-forward layers; 0 without such a norm.
        has_joint_projection: Whether queries, keys and values of models without gates are one
            matrix, whose parts tensor-parallel ranks exchange for each microbatch.
        chunks_loss: Whether the gradient of the logits is taken chunk by chunk within the forward
            pass; else logits, a float32 copy and its gradient exist at once.
        splits_vocabulary: Whether tensor-parallel ranks split embedding and logits too.
        splits_sequence: Whether they split hidden states between blocks along the sequence.
        shares_optimizer: Whether all data-parallel ranks share states of the optimizer and float32
            parameters, though each has whole ones in the precision of matrix products.
    """

    name: str
    gathers: bool = True
    residual_bytes: int = 4
    masks_documents: bool = True
    score_bytes: int | None = None
    skips_masked_scores: bool = True
    head_norm_bytes: int = 4
    has_joint_projection: bool = True
    chunks_loss: bool = True
    splits_vocabulary: bool = False
    splits_sequence: bool = False
    shares_optimizer: bool = False


HUNMIN = Habits("hunmin")
"""As measured: fused norms and activations (torch.compile on a GPU, `optimize_model` on a CPU)."""

MEGATRON = Habits(
    "megatron",
    gathers=False,
    residual_bytes=2,
    masks_documents=False,
    score_bytes=5,
    skips_masked_scores=False,
    head_norm_bytes=0,
    has_joint_projection=False,
    chunks_loss=False,
    splits_vocabulary=True,
)
"""Megatron-LM of 2021, whose ranks hold whole stages; scores with their dropout, as counted in
Korthikanti et al. 2022 (arXiv:2205.05198, section 4.1)."""

MEGATRON_SEQUENCE = replace(MEGATRON, name="megatron-sequence", splits_sequence=True)
"""The same with sequence parallelism, as in Korthikanti et al. 2022."""

MEGATRON_CORE = replace(MEGATRON_SEQUENCE, name="megatron-core", shares_optimizer=True)
"""And with its distributed optimizer, as in Megatron-LM's later tables."""

DEEPSPEED = Habits(
    "deepspeed",
    residual_bytes=2,
    masks_documents=False,
    score_bytes=5,
    skips_masked_scores=False,
    head_norm_bytes=0,
    has_joint_projection=False,
    chunks_loss=False,
)
"""ZeRO-3 and MiCS as published: hidden states in half precision, plain attention with dropout."""
