import math

import pytest

from hunmin.core.errors import CorruptArtifactError
from hunmin.core.tables import align_columns
from hunmin.evaluation.report import report_markdown
from hunmin.evaluation.results import MODEL, REPORT_NAME, Report, read_report
from hunmin.evaluation.table import MAX_LANGUAGES, summary_table

TAGS = [f"{a}{b}" for a in "abc" for b in "abcdefghij"]


def table_rows(markdown):
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_markdown_puts_the_model_beside_both_baselines(make_report):
    report = make_report(languages=("ko", "de"))
    rows = {row[0]: row for row in table_rows(report_markdown(report, has_loss_curve=True))}
    assert rows[""][1:4] == ["model", "byte 5-gram", "order-0 bytes"]
    assert {"**all**", "mean of 2 languages", "ko", "de", "intents"} <= set(rows)
    korean = report.by_language["ko"].scores[MODEL].bits_per_byte
    assert rows["ko"][1] == f"{korean.value:.3f} [{korean.low:.3f}, {korean.high:.3f}]"
    assert rows["ko"][5] == "30"


def test_markdown_says_how_sure_the_gain_is(make_report, score_table):
    assert "below the byte 5-gram" in report_markdown(make_report(), has_loss_curve=False)
    scores = score_table()
    worse = scores.set_column(6, "model_nats", scores["byte_order0_nats"])
    assert "above the byte 5-gram" in report_markdown(make_report(worse), has_loss_curve=False)
    same = scores.set_column(6, "model_nats", scores["byte_5gram_nats"])
    assert "includes zero" in report_markdown(make_report(same), has_loss_curve=False)
    few = report_markdown(make_report(num_groups=3), has_loss_curve=False)
    assert "too few groups" in few


def test_markdown_links_only_plots_that_are_there(make_report):
    assert "loss.svg" in report_markdown(make_report(), has_loss_curve=True)
    assert "loss.svg" not in report_markdown(make_report(), has_loss_curve=False)


def test_markdown_says_what_was_left_out(make_report):
    markdown = report_markdown(make_report(), has_loss_curve=False)
    assert "60 of 600 documents of the validation split, in 20 groups" in markdown
    assert "30,000 of 60,000 bytes" in markdown


def test_report_survives_its_json(make_report):
    report = make_report()
    assert Report.model_validate_json(report.model_dump_json()) == report
    perplexity = report.overall.scores[MODEL].perplexity_per_token
    loss = report.overall.scores[MODEL].loss_per_token
    assert perplexity.value == pytest.approx(math.exp(loss.value))


@pytest.mark.parametrize("content", [None, "{", '{"format": 1}'])
def test_unreadable_report_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / REPORT_NAME).write_text(content, encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match="numbers of the report cannot be read"):
        read_report(tmp_path)


def test_summary_table_shows_the_languages_with_most_text(make_report):
    report = make_report(languages=TAGS, num_documents=300)
    lines = summary_table(report).splitlines()
    assert lines[0].split()[:2] == ["bits", "per"]
    assert lines[1].startswith("all ")
    most_text = sorted(report.by_language, key=lambda tag: -report.by_language[tag].num_bytes)
    assert [line.split()[0] for line in lines[2:14]] == sorted(most_text[:MAX_LANGUAGES])
    assert lines[14] == f"… and {len(TAGS) - MAX_LANGUAGES} more languages in the report"
    assert max(map(len, lines)) <= 80


def test_summary_table_of_one_language_is_one_row(make_report):
    lines = summary_table(make_report(languages=("ko",))).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("all")


def test_columns_align_by_what_a_terminal_shows():
    lines = align_columns([("이름", "1"), ("name", "22"), ("日本語", "333")])
    assert lines == ["이름      1", "name     22", "日本語  333"]
