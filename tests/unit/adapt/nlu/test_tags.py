import numpy as np
import pytest

from hunmin.adapt.nlu.tags import TagSet, types_of
from hunmin.adapt.nlu.utterances import Slot, Utterance, make_utterance
from hunmin.core.errors import InputError

TAGS = TagSet(("date", "person"))


def utterance(annotated: str, utt: str) -> Utterance:
    return make_utterance(id="1", locale="en-US", intent="x", utt=utt, annot_utt=annotated)


def test_adjacent_slots_of_one_type_have_tags_that_separate_them() -> None:
    made = utterance(
        "call [person : mary ann] [person : john] on [date : friday]",
        "call mary ann john on friday",
    )
    tags = TAGS.encode(made.slots, len(made.words))
    names = [TAGS.names[tag] for tag in tags]
    assert names == ["O", "B-person", "I-person", "B-person", "O", "B-date"]
    assert TAGS.decode(tags[None], np.array([6])) == [
        (("person", 1, 3), ("person", 3, 4), ("date", 5, 6))
    ]


def test_padding_and_the_next_utterance_do_not_prolong_a_slot() -> None:
    begin, inside = 1, 2
    tags = np.array([[0, begin, inside, inside], [inside, inside, 0, begin]])
    assert TAGS.decode(tags, np.array([2, 3])) == [(("date", 1, 2),), (("date", 0, 2),)]
    assert TAGS.decode(tags, np.array([4, 4])) == [
        (("date", 1, 4),),
        (("date", 0, 2), ("date", 3, 4)),
    ]


def test_an_inside_tag_of_another_type_begins_a_slot() -> None:
    tags = np.array([[1, 4, 4, 2]])
    assert TAGS.decode(tags, np.array([4])) == [(("date", 0, 1), ("person", 1, 3), ("date", 3, 4))]


def test_random_slots_come_back() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        cuts = np.sort(generator.choice(12, size=6, replace=False)).tolist()
        kinds = [TAGS.types[kind] for kind in generator.integers(0, 2, size=3)]
        spans = tuple(zip(kinds, cuts[::2], cuts[1::2], strict=True))
        tags = TAGS.encode([Slot(*span, 0, 0) for span in spans], 11)
        assert TAGS.decode(tags[None], np.array([11])) == [spans]


@pytest.mark.parametrize(
    ("slots", "problem"),
    [
        ([Slot("dat", 0, 1, 0, 1)], "Did you mean 'date'"),
        ([Slot("date", 0, 3, 0, 1)], "outside of the words"),
        ([Slot("date", 0, 1, 0, 1), Slot("person", 0, 1, 1, 2)], "share a word"),
    ],
)
def test_slots_without_tags_are_refused(slots: list[Slot], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        TAGS.encode(slots, 2)


@pytest.mark.parametrize("tag", [-1, 5])
def test_numbers_that_are_no_tag_are_refused(tag: int) -> None:
    with pytest.raises(InputError, match="no tag"):
        TAGS.decode(np.array([[tag]]), np.array([1]))


def test_the_tags_are_those_of_the_types_that_occur() -> None:
    made = utterance("[person : a] [date : b]", "a b")
    assert types_of([made.slots]) == TAGS
    assert TAGS.names == ["O", "B-date", "I-date", "B-person", "I-person"]
