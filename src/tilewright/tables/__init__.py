"""Descriptor to Arrow schema, events to Arrow tables: pure, and exact."""

from tilewright.tables.batch import Page, SchemaTooNarrow, build, page_of, rows_of, sound_page
from tilewright.tables.names import REJECTED, SEQ_NUM, TABLE, TIME, TIMESTAMP_PREFIX, column_names
from tilewright.tables.schema import MAX_COLUMNS, Column, Hints, Schema, arrow_type, schema_for, usable

__all__ = [
    "MAX_COLUMNS",
    "REJECTED",
    "SEQ_NUM",
    "TABLE",
    "TIME",
    "TIMESTAMP_PREFIX",
    "Column",
    "Hints",
    "Page",
    "Schema",
    "SchemaTooNarrow",
    "arrow_type",
    "build",
    "column_names",
    "page_of",
    "rows_of",
    "schema_for",
    "sound_page",
    "usable",
]
