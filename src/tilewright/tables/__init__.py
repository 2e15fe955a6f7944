"""Descriptor to Arrow schema, events to Arrow tables: pure, and exact."""

from tilewright.tables.array_types import IN_TABLE, ArrayType
from tilewright.tables.batch import Page, Rows, SchemaTooNarrow, build, page_of, rows_of, sound_page
from tilewright.tables.blocks import Block, Ragged
from tilewright.tables.names import REJECTED, SEQ_NUM, TABLE, TIME, TIMESTAMP_PREFIX, column_names
from tilewright.tables.schema import (
    MAX_COLUMNS,
    ArrayColumn,
    Column,
    Hints,
    Schema,
    arrow_type,
    schema_for,
    usable,
)

__all__ = [
    "IN_TABLE",
    "MAX_COLUMNS",
    "REJECTED",
    "SEQ_NUM",
    "TABLE",
    "TIME",
    "TIMESTAMP_PREFIX",
    "ArrayColumn",
    "ArrayType",
    "Block",
    "Column",
    "Hints",
    "Page",
    "Ragged",
    "Rows",
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
