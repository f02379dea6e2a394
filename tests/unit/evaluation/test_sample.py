from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from hunmin.core.errors import EmptyCorpusError
from hunmin.evaluation.baselines import train_baselines
from hunmin.evaluation.results import NGRAM, ORDER_ZERO
from hunmin.evaluation.sample import draw_documents, draw_per_group, draw_texts
from hunmin.evaluation.symbols import text_bytes


def rows(count, languages=("ko", "de"), **values):
    return [
        {"id": f"{i:04d}", "text": f"문서 {i}", "language": languages[i % len(languages)], **values}
        for i in range(count)
    ]


def test_all_documents_are_drawn_in_the_order_of_the_corpus(write_documents):
    artifact = write_documents(validation=rows(10))
    drawn, available = draw_documents(artifact, "validation", max_per_language=None, seed=0)
    assert drawn["id"].to_pylist() == [f"{i:04d}" for i in range(10)]
    assert available == 10


def test_each_language_gets_at_most_so_many_documents(write_documents):
    artifact = write_documents(validation=rows(90, languages=("ko", "ko", "de")))
    drawn, available = draw_documents(artifact, "validation", max_per_language=40, seed=0)
    assert Counter(drawn["language"].to_pylist()) == {"ko": 40, "de": 30}
    assert available == 90
    again, _ = draw_documents(artifact, "validation", max_per_language=40, seed=0)
    other, _ = draw_documents(artifact, "validation", max_per_language=40, seed=1)
    assert drawn.equals(again)
    assert not drawn.equals(other)


def test_documents_without_text_are_never_drawn(write_documents):
    documents = [*rows(3), {"id": "empty", "text": "", "language": "ko"}]
    artifact = write_documents(validation=documents)
    drawn, available = draw_documents(artifact, "validation", max_per_language=None, seed=0)
    assert "empty" not in drawn["id"].to_pylist()
    assert (len(drawn), available) == (3, 4)


def test_an_empty_split_is_refused(write_documents):
    artifact = write_documents(train=rows(3))
    with pytest.raises(EmptyCorpusError, match="no document in the validation split"):
        draw_documents(artifact, "validation", max_per_language=5, seed=0)


def test_every_member_of_a_group_has_the_same_chance():
    groups = np.repeat([0, 1, -1], [20, 3, 5])
    drawn = np.sum([draw_per_group(groups, 5, seed) for seed in range(400)], axis=0)
    assert (drawn[20:23] == 400).all()
    assert (drawn[23:] == 0).all()
    assert drawn[:20].sum() == 5 * 400
    assert drawn[:20].min() > 60
    assert drawn[:20].max() < 140


def test_all_training_texts_without_a_cap(write_documents):
    artifact = write_documents(train=rows(10))
    pieces, available = draw_texts(artifact, max_bytes=None, seed=0)
    texts = pa.concat_arrays(list(pieces)).to_pylist()
    assert texts == [row["text"] for row in rows(10)]
    assert available == sum(len(text.encode()) for text in texts)


def test_capped_training_texts_come_from_everywhere(write_documents):
    artifact = write_documents(train=rows(2000))
    pieces, available = draw_texts(artifact, max_bytes=5000, seed=0)
    texts = pa.concat_arrays(list(pieces))
    drawn = text_bytes(texts)[1].sum()
    assert available > 4 * 5000
    assert drawn == pytest.approx(5000, rel=0.25)
    places = np.array([int(text.split()[1]) for text in texts.to_pylist()])
    assert places.min() < 100
    assert places.max() > 1900


def test_baselines_say_what_they_were_trained_on(write_documents):
    artifact = write_documents(train=rows(50))
    baselines = train_baselines(artifact, max_bytes=None, seed=0)
    assert set(baselines.models) == {NGRAM, ORDER_ZERO}
    assert baselines.facts.num_documents == 50
    assert baselines.facts.num_bytes == baselines.facts.num_available_bytes
    capped = train_baselines(artifact, max_bytes=200, seed=0).facts
    assert 0 < capped.num_bytes < capped.num_available_bytes == baselines.facts.num_bytes


@pytest.mark.parametrize("documents", [[], rows(4)])
def test_baselines_need_text(write_documents, documents):
    artifact = write_documents(train=documents, validation=rows(2))
    with pytest.raises(EmptyCorpusError, match="no training document"):
        train_baselines(artifact, max_bytes=1 if documents else None, seed=3)
