"""Languages whose words the stock split cuts at vowel signs: told before a tokenizer is trained."""

from __future__ import annotations

from collections import Counter

from hunmin.core.logs import get_logger
from hunmin.text.languages import language_name
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.spec import KINDS_OF_CHARACTERS
from hunmin.tokenizer.splits import word_split

logger = get_logger(__name__)

CHARACTERS_PER_LANGUAGE = 20_000
MIN_PIECES = 1.5


def warn_of_cut_words(task: TrainingTask) -> None:
    """Log the languages of a sample that would gain from `split: marks`.

    Args:
        task: Spec and sample.
    """
    if task.spec.split != "gpt-2" or task.spec.kind in KINDS_OF_CHARACTERS:
        return
    found = {name: pieces for name, pieces in pieces_per_word(task).items() if pieces >= MIN_PIECES}
    if found:
        logger.warning(
            "the split gpt-2 cuts words at vowel signs and other marks, into %s pieces each; "
            "tokenizer.split=marks keeps them whole",
            ", ".join(f"{pieces:.1f} ({language_name(tag)})" for tag, pieces in found.items()),
        )


def pieces_per_word(task: TrainingTask) -> dict[str, float]:
    """Count into how many pieces the stock split cuts what the split `marks` leaves whole.

    Args:
        task: Its sample is read once, up to 20,000 characters of each language.

    Returns:
        Pieces for each word, by language tag.
    """
    whole, cut = word_split("marks").splitter(), word_split("gpt-2").splitter()
    num_characters, num_words, num_pieces = Counter[str](), Counter[str](), Counter[str]()
    for batch in task.batches("looking for vowel signs"):
        for text, language in zip(batch.texts, batch.languages, strict=True):
            room = CHARACTERS_PER_LANGUAGE - num_characters[language]
            if room <= 0:
                continue
            start = text[:room]
            num_characters[language] += len(start)
            num_words[language] += len(whole.pre_tokenize_str(start))
            num_pieces[language] += len(cut.pre_tokenize_str(start))
    return {tag: num_pieces[tag] / words for tag, words in sorted(num_words.items()) if words}
