"""Every number here was worked out by hand; the comments show how."""

import numpy as np
import pytest

from hunmin.adapt.nlu.scores import Prediction, Scores, count, score
from hunmin.adapt.nlu.tags import TagSet, WordSpan
from hunmin.adapt.nlu.utterances import Utterance, make_utterance
from hunmin.core.errors import EmptyCorpusError, InputError


def reference(annotated: str, number: int = 0, locale: str = "en-US") -> Utterance:
    plain = annotated.replace("[", " ").replace("]", " ")
    words = [word for word in plain.split() if word not in {":", "date", "time", "person"}]
    return make_utterance(
        id=str(number), locale=locale, intent="ask", utt=" ".join(words), annot_utt=annotated
    )


def said(made: Utterance, *slots: WordSpan, intent: str = "ask") -> Prediction:
    return Prediction(made.id, made.locale, intent, slots)


def one(made: Utterance, *slots: WordSpan, intent: str = "ask") -> Scores:
    return score([made], [said(made, *slots, intent=intent)]).overall


def value(scores: Scores, name: str) -> float | None:
    found = getattr(scores, name)
    return None if found is None else found.value


def test_slots_predicted_outside_of_the_reference_count_against_it() -> None:
    """Issue 13: the first published scorer looked at the reference's slots only."""
    made = reference("wake me at [time : nine]")
    scores = one(made, ("time", 3, 4), ("person", 1, 2), ("date", 0, 1))
    # 1 found, 3 predicted, 1 in the reference: F1 = 2 * 1 / (3 + 1).
    assert value(scores, "slot_f1") == 0.5
    assert value(scores, "slot_precision") == pytest.approx(1 / 3)
    assert value(scores, "slot_recall") == 1.0
    assert value(scores, "exact_match") == 0.0
    nothing = reference("wake me now")
    assert value(one(nothing, ("time", 2, 3)), "slot_f1") == 0.0


def test_a_slot_of_many_words_counts_once() -> None:
    """Issue 13: n words were n slots; that would give 2 * 4 / (5 + 4) here."""
    made = reference("from [time : half past nine pm] on [date : friday]")
    scores = one(made, ("time", 1, 5))
    # 1 found, 1 predicted, 2 in the reference.
    assert value(scores, "slot_f1") == pytest.approx(2 / 3)
    assert value(scores, "slot_recall") == 0.5


def test_a_slot_with_one_word_less_is_not_found() -> None:
    """By words, 3 of 4 would be right."""
    made = reference("from [time : half past nine pm]")
    scores = one(made, ("time", 1, 4))
    assert value(scores, "slot_f1") == 0.0
    assert value(one(made, ("date", 1, 5)), "slot_f1") == 0.0


def test_adjacent_slots_of_one_type_are_two() -> None:
    """Flat labels see one slot mary john, and call the merged prediction right."""
    made = reference("call [person : mary] [person : john]")
    apart = one(made, ("person", 1, 2), ("person", 2, 3))
    merged = one(made, ("person", 1, 3))
    assert (value(apart, "slot_f1"), value(apart, "exact_match")) == (1.0, 1.0)
    assert (value(merged, "slot_f1"), value(merged, "exact_match")) == (0.0, 0.0)


def test_tags_on_padding_change_no_score() -> None:
    tags = TagSet(("time",))
    made = [reference("at [time : nine]", 0), reference("wake me at [time : nine]", 1)]
    predicted = np.array([[0, 1, 2, 1], [0, 0, 0, 1]])
    spans = tags.decode(predicted, np.array([len(row.words) for row in made]))
    scores = score(made, [said(row, *slots) for row, slots in zip(made, spans, strict=True)])
    assert value(scores.overall, "exact_match") == 1.0
    assert value(scores.overall, "slot_precision") == 1.0


def test_words_are_scored_whatever_pieces_a_tokenizer_makes_of_them() -> None:
    """Issue 21: continuations of a word carried predictions of their own."""
    made = reference("[time : half past] unbelievably")
    assert len(made.words) == 3
    assert count([made], [said(made, ("time", 0, 2))]).tolist() == [[1, 1, 1, 1, 1, 1]]


def test_brackets_of_the_text_are_words_like_others() -> None:
    made = make_utterance(
        id="0", locale="en-US", intent="ask", utt="play [live] at nine",
        annot_utt="play \\[live\\] at [time : nine]",
    )  # fmt: skip
    assert value(one(made, ("time", 3, 4)), "exact_match") == 1.0


def test_a_slot_predicted_twice_is_found_once() -> None:
    made = reference("at [time : nine]")
    scores = one(made, ("time", 1, 2), ("time", 1, 2))
    assert value(scores, "slot_f1") == pytest.approx(2 / 3)
    assert value(scores, "exact_match") == 0.0


def test_exact_match_needs_the_intent_and_every_slot() -> None:
    made = reference("at [time : nine] [date : today]")
    both = (("time", 1, 2), ("date", 2, 3))
    assert value(one(made, *both), "exact_match") == 1.0
    assert value(one(made, *both, intent="other"), "exact_match") == 0.0
    assert value(one(made, both[0]), "exact_match") == 0.0


def test_f1_is_over_all_slots_and_the_mean_over_locales() -> None:
    english = [reference("at [time : nine] [date : today]", 0), reference("hello there", 1)]
    korean = [reference("[time : 아홉 시] 에", 0, "ko-KR"), reference("안녕", 1, "ko-KR")]
    predictions = [
        said(english[0], ("time", 1, 2), ("date", 2, 3)),
        said(english[1], ("date", 0, 1), intent="other"),
        said(korean[0]),
        said(korean[1]),
    ]
    scores = score(english + korean, predictions)
    # en-US: 2 found, 3 predicted, 2 in the reference. ko-KR: 0 found, 0 predicted, 1.
    assert value(scores.locales["en-US"], "slot_f1") == pytest.approx(4 / 5)
    assert value(scores.locales["ko-KR"], "slot_f1") == 0.0
    assert value(scores.mean, "slot_f1") == pytest.approx(2 / 5)
    # Overall: 2 * 2 / (3 + 3).
    assert value(scores.overall, "slot_f1") == pytest.approx(2 / 3)
    assert value(scores.overall, "intent_accuracy") == 0.75
    assert value(scores.overall, "exact_match") == 0.5
    assert value(scores.locales["ko-KR"], "slot_precision") is None
    # The mean precision is over the one locale that has one.
    assert value(scores.mean, "slot_precision") == pytest.approx(2 / 3)
    assert scores.overall.num_utterances == 4


def test_without_any_slot_there_is_no_f1() -> None:
    scores = one(reference("hello there"))
    assert (scores.slot_f1, scores.slot_recall) == (None, None)
    assert value(scores, "exact_match") == 1.0


def many(num_rows: int, num_right: int, words: int) -> tuple[list[Utterance], list[Prediction]]:
    text = "at [time : " + " ".join(["nine"] * words) + "]"
    made = [reference(text, row) for row in range(num_rows)]
    kinds = ["time" if row < num_right else "date" for row in range(num_rows)]
    return made, [said(row, (kind, 1, 1 + words)) for row, kind in zip(made, kinds, strict=True)]


def test_the_interval_of_f1_has_the_width_of_slots_not_of_words() -> None:
    """The published standard error divides by the words: 8 words a slot, too narrow by 2.8."""
    scores = score(*many(400, 200, words=8), num_resamples=4000).overall
    found = scores.slot_f1
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    # One slot an utterance, F1 = share right: 2 * 1.96 * sqrt(0.5 * 0.5 / 400) = 0.098.
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(0.098, rel=0.06)
    by_words = score(*many(400, 200, words=1), num_resamples=4000).overall.slot_f1
    assert by_words == found


def test_few_utterances_have_no_interval() -> None:
    assert score(*many(4, 2, 1)).overall.exact_match.low is None
    assert score(*many(5, 2, 1)).overall.exact_match.low is not None


def test_the_mean_has_no_interval_where_a_locale_has_too_few() -> None:
    made, predictions = many(9, 4, 1)
    other = reference("hello", 0, "ko-KR")
    scores = score([*made, other], [*predictions, said(other)])
    assert scores.mean.exact_match.low is None
    assert scores.overall.exact_match.low is not None
    assert scores.mean.exact_match.value == pytest.approx((4 / 9 + 1) / 2)


def test_the_seed_decides_the_draws() -> None:
    made, predictions = many(997, 311, 1)
    assert score(made, predictions, seed=3) == score(made, predictions, seed=3)
    assert score(made, predictions, seed=3) != score(made, predictions, seed=4)


def test_counts_agree_with_a_plain_loop() -> None:
    generator = np.random.default_rng(1)
    made = [
        reference("[time : a b] [date : c] d" if row % 3 else "a b c d", row) for row in range(300)
    ]
    options: list[WordSpan] = [("time", 0, 2), ("date", 2, 3), ("date", 3, 4), ("time", 0, 1)]
    predictions = [
        said(row, *(span for span in options if generator.random() < 0.5)) for row in made
    ]
    for row, made_row, told in zip(count(made, predictions), made, predictions, strict=True):
        wanted = {(slot.type, slot.start, slot.end) for slot in made_row.slots}
        found = len(wanted & set(told.slots))
        exact = wanted == set(told.slots)
        assert row.tolist() == [1, 1, found, len(wanted), len(told.slots), exact]


def test_predictions_of_other_utterances_are_refused() -> None:
    made, predictions = many(5, 2, 1)
    with pytest.raises(InputError, match="another number"):
        score(made, predictions[1:])
    with pytest.raises(InputError, match="prediction 1 is of another utterance"):
        score(made, predictions[::-1])
    with pytest.raises(EmptyCorpusError):
        score([], [])
