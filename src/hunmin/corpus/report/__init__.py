"""Reports of a corpus: what happened on the way from the sources to the documents."""

from hunmin.corpus.report.card import data_card
from hunmin.corpus.report.report import write_report

__all__ = ["data_card", "write_report"]
