"""A parse as JSON: what the server answers and `hunmin ask --json` prints."""

from __future__ import annotations

from typing import Any

from hunmin.adapt.nlu.decode import Parse

_NO_PARSE: dict[str, Any] = {
    "intent": None,
    "score": 0.0,
    "n_best": [],
    "slots": [],
    "truncated_at": None,
}


def parse_record(number: int, text: str, parse: Parse | None) -> dict[str, Any]:
    """Write what one text means.

    Args:
        number: Its number in the request.
        text: The text.
        parse: What was found; None where a model that writes labels wrote something else.

    Returns:
        JSON values; `start` and `end` count Unicode code points of the text, and `intent` is None
        without a parse.
    """
    if parse is None:
        return {"index": number, "text": text, **_NO_PARSE}
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
