import numpy as np
import pytest

from hunmin.adapt.nlu.baselines import _Grams, fit_constant, fit_linear
from hunmin.adapt.nlu.scores import score
from hunmin.adapt.nlu.utterances import Utterance, make_utterance
from hunmin.core.errors import EmptyCorpusError

ROOMS = ("거실", "주방", "침실", "욕실", "서재", "현관", "복도", "차고")
ENDINGS = {
    "light_on": ("불 켜줘", "조명 켜 줘", "불을 켜"),
    "light_off": ("불 꺼줘", "조명 꺼 줘", "불을 꺼"),
    "temperature": ("온도 알려줘", "몇 도야"),
}


def home(rooms: tuple[str, ...]) -> list[Utterance]:
    texts = [
        (intent, f"{room} {end}") for room in rooms for intent in ENDINGS for end in ENDINGS[intent]
    ]
    return [
        make_utterance(id=str(number), locale="ko-KR", intent=intent, utt=text)
        for number, (intent, text) in enumerate(texts)
    ]


def test_the_constant_baseline_says_the_most_frequent_intent() -> None:
    train = home(ROOMS)
    baseline = fit_constant([row for row in train if row.intent != "light_on"])
    assert baseline.intent == "light_off"
    # 3 of 8 endings are light_off.
    scores = score(train, baseline.predict(train)).overall
    assert scores.intent_accuracy.value == 3 / 8
    assert fit_constant(train).intent == "light_off", "the first by name among equals"


def test_the_linear_baseline_names_the_intent_for_rooms_it_never_saw() -> None:
    baseline = fit_linear(home(ROOMS[:5]))
    unseen = home(ROOMS[5:])
    predictions = baseline.predict(unseen)
    assert score(unseen, predictions).overall.intent_accuracy.value == 1.0
    assert [made.id for made in predictions] == [made.id for made in unseen]
    assert all(made.slots == () for made in predictions)


def test_the_seed_decides_the_weights() -> None:
    rows = home(ROOMS) * 5
    one, same, other = (fit_linear(rows, num_epochs=2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.weights, same.weights)
    assert not np.array_equal(one.weights, other.weights)


def test_grams_of_a_text_do_not_depend_on_its_neighbours() -> None:
    together = _Grams.of(["불 켜", "", "🔇 MUTE"])
    for row, text in enumerate(["불 켜", "", "🔇 mute"]):
        alone = _Grams.of([text])
        found = together.buckets[together.starts[row] : together.starts[row + 1]]
        assert np.array_equal(found, alone.buckets)
        # " text ": one for each place of each length.
        assert len(found) == sum(max(0, len(text) + 3 - length) for length in range(1, 6))


def test_features_are_counts_of_length_one() -> None:
    grams = _Grams.of(["aa", "b"])
    buckets, features = grams.features(np.array([1, 0, 1]))
    assert features.shape == (3, len(buckets))
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.ones(3))
    assert np.array_equal(features[0], features[2])
    # " aa ": space and a twice, each other gram (2 + ... + 4 characters) once.
    assert np.sort((features[1] / features[1][features[1] > 0].min()).round())[-2:].tolist() == [
        2,
        2,
    ]


def test_one_intent_and_one_utterance_are_enough() -> None:
    (made,) = home(ROOMS[:1])[:1]
    assert fit_linear([made]).predict([made])[0].intent == made.intent


def test_nothing_to_fit_is_refused() -> None:
    with pytest.raises(EmptyCorpusError):
        fit_constant([])
    with pytest.raises(EmptyCorpusError):
        fit_linear([])
