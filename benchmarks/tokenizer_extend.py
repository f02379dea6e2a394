"""Adding a language to a tokenizer and a model: ways to choose pieces, ways to fill embeddings.

python benchmarks/tokenizer_extend.py
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import RESULTS, markdown_table, write_result
from korean_text import DATA, training_text
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from hunmin.adapt.embeddings import Mixture, extend_embeddings, mean_mixture
from hunmin.adapt.focus import focus_mixture
from hunmin.corpus.documents import read_documents
from hunmin.tokenizer.alphabet import piece_to_bytes
from hunmin.tokenizer.extend import (
    ExtendedTokenizer,
    ExtensionOptions,
    extend_tokenizer,
    read_texts,
)
from hunmin.tokenizer.extension.base import BaseTokenizer, Merge
from hunmin.tokenizer.extension.learn import count_words
from hunmin.tokenizer.extension.measure import ExtensionFacts, measure_extension
from hunmin.tokenizer.extension.scripts import PieceRule
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.spec import REQUIRED_SPECIAL_TOKENS

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BOUNDARY = "<|end_of_text|>"
SEQUENCE, BATCH, CONTEXT = 64, 16, 256
Way = Callable[[BaseTokenizer, TextTokenizer, PieceRule, int], tuple[list[str], list[Merge]]]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=5.0, help="of the new language")
    parser.add_argument("--new", type=int, default=6_000, help="new pieces")
    parser.add_argument("--base-steps", type=int, default=1_500, help="of the old model")
    parser.add_argument("--steps", type=int, default=200, help="of continued pretraining")
    parser.add_argument("--seeds", type=int, default=3, help="runs of continued pretraining")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def some(texts: Iterable[str], megabytes: float) -> list[str]:
    """Return shuffled lines of texts, up to a size."""
    lines = sorted({line for text in texts for line in text.split("\n") if line.strip()})
    random.Random(0).shuffle(lines)
    sizes = np.cumsum([len(line.encode()) for line in lines])
    return lines[: int(np.searchsorted(sizes, megabytes * 1e6))]


def foreign_tokenizer(lines: Sequence[str], vocab_size: int) -> BaseTokenizer:
    """Train a tokenizer with the split of Llama 3 and special tokens above the vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_special_tokens([BOUNDARY])
    return BaseTokenizer(tokenizer.to_str())


def donor_tokenizer(lines: Sequence[str], vocab_size: int) -> TextTokenizer:
    """Train a plain byte-level tokenizer for the new language."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(REQUIRED_SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return TextTokenizer(tokenizer.to_str())


def merges_of(definition: str) -> list[Merge]:
    """Return the merges of a definition."""
    import json

    merges = json.loads(definition)["model"]["merges"]
    return [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges]


def append_donor(
    base: BaseTokenizer, donor: TextTokenizer, rule: PieceRule, num_new: int
) -> tuple[list[str], list[Merge]]:
    """Common practice: the donor's merges that the old tokenizer lacks, after its own."""
    known, present = {**base.vocabulary, **base.added}, set(merges_of(base.definition))
    pieces: dict[str, None] = {}
    merges = []
    for left, right in merges_of(donor.definition):
        is_possible = left in known and right in known and rule.admits(piece_to_bytes(left + right))
        if len(pieces) >= num_new or not is_possible or (left, right) in present:
            continue
        merges.append((left, right))
        if left + right not in known:
            known[left + right] = 0
            pieces[left + right] = None
    return list(pieces), merges


def chain_pieces(
    base: BaseTokenizer, donor: TextTokenizer, rule: PieceRule, num_new: int
) -> tuple[list[str], list[Merge]]:
    """Encode each of the donor's pieces and add what is missing, from left to right."""
    ranks = {merge: rank for rank, merge in enumerate(merges_of(base.definition))}
    known = {**base.vocabulary, **base.added}
    pieces: dict[str, None] = {}
    merges = []
    for left, right in merges_of(donor.definition):
        if len(pieces) >= num_new or not rule.admits(piece_to_bytes(left + right)):
            continue
        parts = _merge_all([base.pieces[n] for n in base.encode_word(left + right)], ranks)
        while len(parts) > 1 and len(pieces) < num_new:
            pair, whole = (parts[0], parts[1]), parts[0] + parts[1]
            if pair not in ranks:
                ranks[pair] = len(ranks)
                merges.append(pair)
            if whole not in known:
                known[whole] = 0
                pieces[whole] = None
            parts[:2] = [whole]
    return list(pieces), merges


def _merge_all(parts: list[str], ranks: dict[Merge, int]) -> list[str]:
    while len(parts) > 1:
        best = min(enumerate(pairwise(parts)), key=lambda item: ranks.get(item[1], math.inf))
        if best[1] not in ranks:
            break
        parts[best[0] : best[0] + 2] = ["".join(best[1])]
    return parts


def compare_ways(
    base: BaseTokenizer,
    donor: TextTokenizer,
    lines: Sequence[str],
    kept: Sequence[str],
    scripts: tuple[str, ...],
    num_new: int,
) -> dict[str, ExtensionFacts]:
    """Extend one tokenizer in several ways; every second line to be kept measures changes."""
    rule, held_out = PieceRule(scripts), lines[::20]
    learned = [line for index, line in enumerate(lines) if index % 20]
    counts = count_words(base, learned, rule)
    results = {}
    for name, way in {"append the donor's merges": append_donor, "chains": chain_pieces}.items():
        extended = base.extended(*way(base, donor, rule, num_new))
        results[name] = measure_extension(
            base, extended, donor, rule=rule, counts=counts, held_out=held_out, kept=kept[::2]
        )
    for name, penalty, keep in (
        ("continued BPE, no donor", -1.0, []),
        ("continued BPE, donor's boundaries", 1.0, []),
        ("the same, keeping other text", 1.0, kept[1::2]),
    ):
        options = ExtensionOptions(scripts=scripts, max_new=num_new, cross_penalty=penalty)
        made = extend_tokenizer(base, donor, learned, keep=keep, options=options)
        results[name] = measure_extension(
            base, made.extended, donor, rule=rule, counts=counts, held_out=held_out, kept=kept[::2]
        )
        print(name, results[name], flush=True)
    return results


def stream(tokenizer: BaseTokenizer, lines: Sequence[str], boundary: int) -> torch.Tensor:
    """Return lines as one sequence of ids with a boundary before each."""
    return torch.tensor([n for row in tokenizer.encode(lines) for n in (boundary, *row)])


def train(
    model: PreTrainedModel, data: torch.Tensor, *, steps: int, rate: float, seed: int
) -> None:
    """Train with AdamW and a cosine schedule on random pieces of a stream."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.0)
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for step in range(steps):
        decay = 0.55 + 0.45 * math.cos(math.pi * step / steps)
        optimizer.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 20) * decay
        starts = torch.randint(0, len(data) - SEQUENCE, (BATCH,), generator=generator).tolist()
        batch = torch.stack([data[start : start + SEQUENCE] for start in starts])
        model(input_ids=batch, labels=batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


@torch.no_grad()
def bits_per_byte(
    model: PreTrainedModel, tokenizer: BaseTokenizer, lines: Sequence[str], boundary: int
) -> float:
    """Return the bits that each UTF-8 byte of some short lines costs."""
    model.eval()
    nats = 0.0
    for row in tokenizer.encode(lines):
        ids = torch.tensor([[boundary, *row]])
        nats += model(input_ids=ids, labels=ids).loss.item() * len(row)
    return nats / math.log(2) / sum(len(line.encode()) for line in lines)


def small_model(vocab_size: int) -> PreTrainedModel:
    """Return a model of about 0.7M parameters with tied embeddings."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM(config)


def compare_starts(
    english: Sequence[str], korean: Sequence[str], options: argparse.Namespace
) -> dict[str, list[list[float]]]:
    """Continue pretraining from each initialisation; bits per byte after no, some and all steps.

    The old model saw one tenth as much Korean as English, as open models have seen some.
    """
    held_out = [line for line in korean[:2_000] if len(line) < 120][:200]
    unseen = korean[2_000:]
    share = some(unseen, sum(len(line.encode()) for line in english) / 1e7)
    mixed = [*english, *share]
    random.Random(0).shuffle(mixed)
    base = foreign_tokenizer(mixed, 4_000)
    donor = donor_tokenizer(unseen, 6_000)
    settings = ExtensionOptions(scripts=("Hang",), max_new=3_000)
    made = extend_tokenizer(base, donor, unseen, options=settings)
    boundary = base.added[BOUNDARY]
    model = small_model(-(-base.num_ids // 64) * 64)
    train(model, stream(base, mixed, boundary), steps=options.base_steps, rate=3e-3, seed=0)

    def curves(start: PreTrainedModel, tokenizer: BaseTokenizer) -> list[list[float]]:
        data = stream(tokenizer, unseen, boundary)
        rows = []
        for seed in range(options.seeds):
            current = copy.deepcopy(start)
            row = [bits_per_byte(current, tokenizer, held_out, boundary)]
            for steps in (options.steps // 4, options.steps - options.steps // 4):
                train(current, data, steps=steps, rate=1e-3, seed=seed + 100)
                row.append(bits_per_byte(current, tokenizer, held_out, boundary))
            rows.append(row)
            print(rows[-1], flush=True)
        return rows

    results = {"old tokenizer": curves(model, base)}
    for name, mixture in _mixtures(made, unseen).items():
        extended = copy.deepcopy(model)
        extend_embeddings(extended, mixture, first_id=base.num_ids, num_ids=made.extended.num_ids)
        results[name] = curves(extended, made.extended)
    return results


def _mixtures(made: ExtendedTokenizer, lines: Sequence[str]) -> dict[str, Mixture | None]:
    rows = [np.array(row, dtype=np.int64) for row in made.extended.encode(lines)]
    old_ids = made.old_ids()
    return {"random": None, "mean": mean_mixture(old_ids), "focus": focus_mixture(old_ids, rows)}


def ways_table(results: dict[str, dict[str, ExtensionFacts]]) -> str:
    """Return the comparison of ways as Markdown."""
    header = (
        "language", "way", "new pieces", "reachable", "used", "bytes a token",
        "donor's boundaries", "other lines changed",
    )  # fmt: skip
    rows: list[Sequence[object]] = []
    for language, ways in results.items():
        first = next(iter(ways.values()))
        old = (f"{first.bytes_per_token_before:.2f}", f"{first.donor_boundaries_before:.1%}")
        rows.append((language, "old tokenizer", 0, "", "", *old, ""))
        for name, facts in ways.items():
            rows.append(
                (
                    language,
                    name,
                    f"{facts.new_pieces:,}",
                    f"{facts.reachable:.1%}",
                    f"{facts.used:.1%}",
                    f"{facts.bytes_per_token_after:.2f}",
                    f"{facts.donor_boundaries_after:.1%}",
                    f"{facts.kept_lines_changed or 0:.1%}",
                )
            )
    return markdown_table(header, rows)


def starts_table(results: dict[str, list[list[float]]], steps: int) -> str:
    """Return the comparison of initialisations as Markdown: mean and spread over the seeds."""
    header = ("embeddings of new pieces", "at once", f"after {steps // 4} steps", f"after {steps}")
    rows = [
        (
            name,
            *(
                f"{np.mean(column):.3f} ± {np.std(column):.3f}"
                for column in zip(*runs, strict=True)
            ),
        )
        for name, runs in results.items()
    ]
    return markdown_table(header, rows)


def main() -> None:
    """Measure, print and write the result."""
    options = parse_arguments()
    torch.set_num_threads(1)
    english = some(read_texts([DATA / "tech_text/en_python_docs.jsonl.zst"]), 6)
    german = some(read_texts([DATA / "tech_text/de_manpages.jsonl.zst"]), options.megabytes)
    news = some(read_texts([DATA / "ntrex128/newstest2019-src.eng.txt.zst"]), 1)
    with tempfile.TemporaryDirectory() as folder:
        documents = training_text(Path(folder) / "korean")
        batches = read_documents(documents, "train", columns=["text"])
        korean = some((t for b in batches for t in b.column("text").to_pylist()), 30)
    part = some(korean, options.megabytes)
    base = foreign_tokenizer(english, 16_000)
    knowing = foreign_tokenizer([*english, *some(korean, 0.6)], 16_000)
    donors = {"ko": donor_tokenizer(part, 8_000), "de": donor_tokenizer(german, 8_000)}
    ways = {
        "Korean": compare_ways(base, donors["ko"], part, news, ("Hang",), options.new),
        "Korean, known a little": compare_ways(
            knowing, donors["ko"], part, news, ("Hang",), options.new
        ),
        "German": compare_ways(base, donors["de"], german, news, (), options.new),
    }
    starts = compare_starts(english, korean, options)
    table = f"{ways_table(ways)}\n\n{_CAPTION}\n\n{starts_table(starts, options.steps)}"
    details: dict[str, Any] = {
        "command": f"python {' '.join(sys.argv)}",
        "ways": {
            language: {name: facts.as_dict() for name, facts in by_way.items()}
            for language, by_way in ways.items()
        },
        "bits_per_byte": starts,
    }
    title = "Adding a language to a tokenizer and a model"
    write_result("tokenizer-extend", title, table, details, options.results)


_CAPTION = (
    "Old tokenizers: 16,000 pieces from 6 MB of English Python documentation (and 0.6 MB of Korean "
    "where it is known a little), Llama 3's split. Measured on lines held out; the other lines are "
    "English news. Below: bits per byte of held-out Korean lines, mean ± standard deviation over "
    "seeds of continued pretraining, a model of 0.7M parameters that saw a tenth as much Korean as "
    "English."
)

if __name__ == "__main__":
    main()
