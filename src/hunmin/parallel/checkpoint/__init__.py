"""Checkpoints of any number of ranks, in one format: safetensors and JSON in an artifact folder.

step-00000400/
    manifest.json                       written last: a folder without it is never loaded
    index.json                          which file holds which part of which tensor
    state.json                          what is no tensor
    shard-00000-of-00008.safetensors    what rank 0 wrote; parts that several ranks hold are
    ...                                 written once, by one of them
"""

from hunmin.parallel.checkpoint.load import load_tensors, open_checkpoint
from hunmin.parallel.checkpoint.memory_copy import MemoryCopies, MemoryCopy
from hunmin.parallel.checkpoint.ranks import Ranks
from hunmin.parallel.checkpoint.save import CheckpointSaver, SavedCheckpoint, SaveJob
from hunmin.parallel.checkpoint.storage import CheckpointContent, ShardReader, ShardWriter

__all__ = [
    "CheckpointContent",
    "CheckpointSaver",
    "MemoryCopies",
    "MemoryCopy",
    "Ranks",
    "SaveJob",
    "SavedCheckpoint",
    "ShardReader",
    "ShardWriter",
    "load_tensors",
    "open_checkpoint",
]
