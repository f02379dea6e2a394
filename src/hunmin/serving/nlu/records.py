"""A parse as JSON: what the server answers and `hunmin ask --json` prints."""

from __future__ import annotations

from typing import Any

from hunmin.adapt.nlu.decode import Parse


def parse_record(number: int, text: str, parse: Parse) -> dict[str, Any]:
    """Write what one text means.

    Args:
        number: Its number in the request.
        text: The text.
        parse: What was found.

    Returns:
        JSON values; `start` and `end` count Unicode code points of the text.
    """
    return {
        "index": number,
        "text": text,
        "intent": parse.intent,
        "score": parse.score,
        "n_best": [{"intent": name, "score": score} for name, score in parse.n_best],
        "slots": [
            {
                "type": slot.type,
                "value": slot.value,
                "start": slot.first_character,
                "end": slot.end_character,
                "score": slot.score,
            }
            for slot in parse.slots
        ],
        "truncated_at": parse.truncated_at,
    }
