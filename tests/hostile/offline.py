"""Takes a case through the recorder, its journals, the translation, the plan and the tables, without a server."""

import dataclasses
import json
import re

import orjson

from tilewright.delivery.plan import RunPlan
from tilewright.documents import Translator, path_segment, to_json
from tilewright.errors import InputError
from tilewright.journal import JournalReader, Recorder
from tilewright.tables import REJECTED, Hints, SchemaTooNarrow, build

from .corpus.base import Found, raises_nothing


def record(case, directory, **options):
    """Return the journals of a case, in the order in which they were opened, and how many documents were refused."""
    opened = []
    recorder = Recorder(
        directory, "catalog", lambda path, uid: opened.append(uid), lambda path: None, strict=False, **options
    )
    try:
        refused = raises_nothing(case, recorder.record, (InputError,))
        recorder.end_runs()
    finally:
        recorder.close()
    return [directory.find(uid, "catalog") for uid in dict.fromkeys(opened)], refused


def documents_of(path):
    """Return the documents of a journal."""
    with JournalReader(path) as reader:
        documents = list(reader)
        assert reader.damage == []
    return documents


def plan_of(documents, hints=None):
    """Return the plan for documents as they were recorded, and what the translation noted."""
    plan, translator = RunPlan(hints), Translator()
    for document in documents:
        for name, doc in translator.translate(*document):
            plan.consume(name, doc)
    for name, doc in translator.finish():
        plan.consume(name, doc)
    return plan, translator.notes


def read(path):
    """Return what the server would hold of a journal, and hold it against what a server takes."""
    documents, hints = documents_of(path), {}
    while (built := _built(documents, hints)) is None:
        pass
    plan, notes, tables = built
    _assert_a_server_takes_it(plan)
    return Found(
        uid=plan.metadata["start"]["uid"],
        start=plan.metadata["start"],
        notes=[*plan.all_notes, *notes],
        verified=plan.set_aside == 0,
        state="interrupted" if plan.stop is None else "complete",
        columns={key: _columns(stream, tables[key]) for key, stream in plan.streams.items()},
        rejected={key: _rejected(table) for key, table in tables.items()},
        nodes={key: list(stream.arrays) for key, stream in plan.streams.items()},
    )


def _built(documents, hints):
    """Return plan, notes and tables; None, and more hints, if a table has to be made anew."""
    plan, notes = plan_of(documents, hints)
    tables = {}
    for key, stream in plan.streams.items():
        try:
            tables[key] = build(stream.pending(), stream.schema, stream.data_keys).table
        except SchemaTooNarrow as narrow:
            before = hints.get(key, Hints())
            hints[key] = before.merge(narrow.hints)
            assert hints[key] != before
            return None
    return plan, notes, tables


def _columns(stream, table):
    assert table.num_rows == stream.rows
    names = [column.name for column in stream.schema.columns if column.source != "timestamps"]
    return {name: table[name].to_pylist() for name in names if name != REJECTED}


def _rejected(table):
    if REJECTED not in table.column_names:
        return []
    rows = zip(table["seq_num"].to_pylist(), table[REJECTED].to_pylist(), strict=True)
    return [
        (seq_num, key, entry["value"])
        for seq_num, text in rows
        if text is not None
        for key, entry in json.loads(text).items()
    ]


def _assert_a_server_takes_it(plan):
    """Hold all that is sent beside rows against Tiled's encoder, and the names against its paths."""
    metadata = [plan.metadata, plan.stop, plan.all_notes]
    for key, stream in plan.streams.items():
        assert path_segment(key) == key
        metadata += [stream.metadata, stream.config_updates]
        for node, array in stream.arrays.items():
            assert path_segment(node) == node
            assert node not in stream.schema.arrow.names
            source = to_json(dataclasses.asdict(array.data_source()))[0]
            metadata += [source, [dataclasses.asdict(asset) for asset in array.assets]]
        names = [column.name for column in stream.schema.columns]
        assert len({name.lower() for name in names}) == len(names)
    assert re.fullmatch(r"[^/?#%{}\x00-\x1f]{1,200}", plan.key)
    for one in metadata:
        orjson.loads(orjson.dumps({"data": [{"attributes": {"metadata": one}}]}))
