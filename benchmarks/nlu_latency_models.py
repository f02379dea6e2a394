"""What `nlu_latency.py` compares: models with random weights, and a process of its own for each.

Random weights are enough for times. The tokenizer is a real one of hunmin with 32,000 entries,
trained on utterances in more than sixty languages, declarations in five hundred, and manuals.

    python benchmarks/nlu_latency_models.py int8 FOLDER     # loads, parses, prints its memory
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

SPEECH = ("ha_intents/*.tests.jsonl.zst", "text")
TEXTS = (SPEECH, ("udhr/*.zst", "paras"), ("slurp/lm.txt.zst", None), ("tech_text/*.zst", "text"))
MAX_BYTES = 20_000_000
MAX_TOKENS = 128
NUM_INTENTS, NUM_SLOT_TYPES = 60, 55  # as MASSIVE has
PROBE_TEXTS = ("거실 불 켜줘", "turn on the light in the kitchen and set it to fifty percent")
STUDENT_SHAPE = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
# XLM-R base, and the head that alexa/massive tuned for it.
LARGE_SHAPE = {"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072}
LARGE_HEAD = {"pooling": "max", "head_layers": 1, "head_width": 2048}
LARGE_VOCABULARY = 250_002
OUTSIDE_BIAS = 2.0
"""Of the tag O, so that an utterance has one or two slots."""


def read_texts(data: Path, pattern: str, field: str | None) -> Iterator[str]:
    """Yield lines of some files, or one field of their records."""
    for path in sorted(data.glob(pattern)):
        with path.open("rb") as file:
            stream = zstandard.ZstdDecompressor().stream_reader(file)
            for line in io.TextIOWrapper(stream, encoding="utf-8"):
                found = line.rstrip("\n") if field is None else json.loads(line)[field]
                yield from found if isinstance(found, list) else [found]


def utterances(data: Path, number: int) -> list[str]:
    """Return evenly spaced test sentences of all languages, each once."""
    everything = list(dict.fromkeys(text for text in read_texts(data, *SPEECH) if text.strip()))
    return everything[:: max(1, len(everything) // number)][:number]


def train(data: Path, folder: Path, vocab_size: int) -> Path:
    """Train the tokenizer."""
    from hunmin.core.artifact import load_artifact, write_artifact
    from hunmin.corpus.documents import DOCUMENTS_KIND
    from hunmin.tokenizer.spec import TokenizerSpec
    from hunmin.tokenizer.train import train_tokenizer

    texts = [text for source in TEXTS for text in read_texts(data, *source) if text.strip()]
    with write_artifact(folder / "documents", DOCUMENTS_KIND) as draft:
        (draft.path / "train").mkdir()
        names = [sha256(f"{row}".encode()).hexdigest()[:32] for row in range(len(texts))]
        same = {"language": ["und"] * len(texts), "source": ["benchmark"] * len(texts)}
        table = pa.table({"id": names, "text": texts, **same})
        pq.write_table(table, draft.path / "train" / "part-00000.parquet")
    spec = TokenizerSpec(vocab_size=vocab_size, allow_smaller=True, sample_max_bytes=MAX_BYTES)
    documents = load_artifact(folder / "documents")
    return train_tokenizer(spec, documents, folder / "tokenizer").path


def build_student(tokenizer: Path, output: Path) -> Path:
    """Write a student of 6 layers x 384 with pre-layer norm."""
    from transformers import RobertaPreLayerNormConfig

    from hunmin.tokenizer.load import load_tokenizer

    loaded = load_tokenizer(tokenizer)
    config = RobertaPreLayerNormConfig(
        vocab_size=-(-loaded.size // 64) * 64,
        num_attention_heads=6,
        max_position_embeddings=MAX_TOKENS + loaded.pad_id + 1,
        pad_token_id=loaded.pad_id,
        **STUDENT_SHAPE,
    )
    return write_model(config, {}, tokenizer, output)


def build_large(tokenizer: Path, output: Path) -> Path:
    """Write a model of the size of XLM-R base."""
    from transformers import XLMRobertaConfig

    from hunmin.tokenizer.load import load_tokenizer

    config = XLMRobertaConfig(
        vocab_size=LARGE_VOCABULARY,
        num_attention_heads=12,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=load_tokenizer(tokenizer).pad_id,
        **LARGE_SHAPE,
    )
    return write_model(config, LARGE_HEAD, tokenizer, output)


def write_model(config: Any, head: dict[str, Any], tokenizer: Path, output: Path) -> Path:
    """Write a model with random weights as a trained one."""
    import torch
    from transformers import AutoModel

    from hunmin.adapt.nlu.config import NluConfig
    from hunmin.adapt.nlu.model import JointModel, save_nlu_model
    from hunmin.tokenizer.load import load_tokenizer

    torch.manual_seed(0)
    loaded = load_tokenizer(tokenizer)
    body = AutoModel.from_config(config, add_pooling_layer=False)
    nlu = NluConfig(
        intents=tuple(f"intent_{number}" for number in range(NUM_INTENTS)),
        slot_types=tuple(f"slot_{number}" for number in range(NUM_SLOT_TYPES)),
        max_tokens=MAX_TOKENS,
        prefix_ids=(loaded.boundary_id,),
        pad_id=loaded.pad_id,
        train_locales=("en-US",),
        **head,
    )
    network = JointModel(body, nlu)
    # Random tags would make a slot of nearly every token, which takes longer to write down.
    with torch.no_grad():
        network.get_parameter(f"slots.{len(network.slots) - 1}.bias")[0] = OUTSIDE_BIAS
    save_nlu_model(network, nlu, tokenizer, output)
    return output


def export_student(student: Path, texts: Sequence[str], folder: Path) -> Path:
    """Export the student, compared on its own answers; random weights lose more than real ones."""
    from hunmin.adapt.nlu.massive_files import write_folder
    from hunmin.adapt.nlu.model import load_nlu_model
    from hunmin.adapt.nlu.utterances import make_utterance
    from hunmin.serving.export.export import export_onnx
    from hunmin.serving.export.spec import ExportSpec

    parses = load_nlu_model(student).parse(texts)
    write_folder(
        folder / "data",
        [
            make_utterance(
                id=str(row), locale="en-US", partition="dev", intent=parse.intent, utt=text
            )
            for row, (text, parse) in enumerate(zip(texts, parses, strict=True))
        ],
    )
    return export_onnx(
        ExportSpec(max_drop=100), student, folder / "export", data=[folder / "data"]
    ).path


def open_model(kind: str, folder: Path) -> Any:
    """Open what parses texts: an export by its precision, or a model in torch."""
    if kind in ("int8", "float32"):
        from hunmin.serving.nlu.engine import NluEngine

        return NluEngine.load(folder, precision=kind)  # type: ignore[arg-type]
    import torch

    from hunmin.adapt.nlu.model import load_nlu_model

    torch.set_num_threads(1)
    return load_nlu_model(folder)


def probe(kind: str, folder: Path) -> dict[str, float]:
    """Load a model in this process, parse with it, and say what that took."""
    started = time.perf_counter()
    import hunmin.serving.nlu.engine  # noqa: F401 - what every runtime imports

    imported = time.perf_counter()
    model = open_model(kind, folder)
    loaded = time.perf_counter()
    for _ in range(20):
        model.parse(list(PROBE_TEXTS))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    status = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return {
        "import_seconds": imported - started,
        "load_seconds": loaded - imported,
        "resident_bytes": int(status[1]) * resource.getpagesize(),
        "peak_bytes": peak,
    }


def count_parameters(folder: Path) -> dict[str, int]:
    """Count the parameters of a model's folder: those of embeddings apart."""
    from hunmin.adapt.nlu.model import load_nlu_model
    from hunmin.serving.export.export import count_parts

    return count_parts(load_nlu_model(folder, verify=False).network)


def mean_tokens(model: Any, texts: Sequence[str]) -> float:
    """Return tokens of a text, those around it included."""
    return float(np.mean([len(one.ids) for one in model.encoder.encode(texts)]))


def mean_slots(model: Any, texts: Sequence[str]) -> float:
    """Return the slots that a model finds in a text."""
    return float(np.mean([len(parse.slots) for parse in model.parse(texts)]))


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1], Path(sys.argv[2]))))
