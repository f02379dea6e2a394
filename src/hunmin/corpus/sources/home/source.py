"""The `home-assistant` source: utterances of all languages, drawn evenly and repeatably."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from hunmin.core.extras import require
from hunmin.core.hashing import seed_from
from hunmin.corpus.records import Record, batched, to_json
from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.sources.spec import HomeAssistantSource

if TYPE_CHECKING:
    from hunmin.corpus.sources.home.sampler import Utterance
    from hunmin.corpus.sources.home.templates import Template

LICENSE = "Apache-2.0"
# A template that repeats itself this often in a row has nothing new to say.
_MAX_REPEATS = 4


class HomeAssistantReader(SourceReader):
    """Draws utterances language by language.

    Args:
        source: What the recipe says.

    Raises:
        MissingExtraError: hassil or home-assistant-intents is not installed.
        InputError: A language has no templates.
    """

    unit = "languages"

    def __init__(self, source: HomeAssistantSource) -> None:
        require("hassil", extra="samples")
        from hunmin.corpus.sources.home.templates import available_languages, check_languages

        languages = available_languages() if source.languages == "all" else source.languages
        check_languages(languages)
        self._source = source
        self._languages = tuple(dict.fromkeys(languages))
        self.name = source.source_name
        self.total: float | None = len(self._languages)

    def batches(self, advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """Yield all records; `advance` is told of each language that is done."""
        for language in self._languages:
            yield from batched(draw_language(language, self._source))
            advance(1)


def draw_language(language: str, source: HomeAssistantSource) -> Iterator[Record]:
    """Draw the utterances of a language, each text once.

    Args:
        language: BCP 47 tag that has templates.
        source: How many to draw, and the seed.

    Yields:
        Records in rounds over all templates, so that the first ones are a fair choice. More
        utterances per template only add to those of fewer.
    """
    from hunmin.corpus.sources.home.sampler import UtteranceSampler
    from hunmin.corpus.sources.home.templates import load_templates

    templates = load_templates(language)
    sampler = UtteranceSampler(templates)
    seen: set[str] = set()

    def chance(template: Template) -> random.Random:
        name = (language, template.intent, template.sentence, to_json(template.fixed_slots))
        return random.Random(seed_from("home-assistant", source.seed, *name))

    alive = [(template, chance(template)) for template in templates.templates]
    for _ in range(source.utterances_per_template):
        still_alive = []
        for template, rng in alive:
            for _ in range(_MAX_REPEATS):
                utterance = sampler.draw(template, rng)
                if utterance is not None and utterance.text not in seen:
                    seen.add(utterance.text)
                    yield _record(language, template, utterance)
                    still_alive.append((template, rng))
                    break
            if len(seen) == source.max_utterances_per_language:
                return
        alive = still_alive


def _record(language: str, template: Template, utterance: Utterance) -> Record:
    text = utterance.text
    slots = [
        {"slot": slot.name, "start": slot.start, "end": slot.end, "value": slot.value}
        for slot in utterance.slots
    ]
    meta = {
        "intent": template.intent,
        "scenario": template.scenario,
        "combination": template.combination,
        "slots": slots,
        "fixed_slots": template.fixed_slots,
    }
    return Record(
        key=None,
        text=text,
        language=language,
        source="home-assistant",
        license=LICENSE,
        group=template.group(language),
        meta=to_json(meta),
    )
