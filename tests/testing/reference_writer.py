"""The smallest writer and reader that keep the contract: rows in a dictionary. `FAULTS` break it, one thing each.

A test of the contract copies this file beside a test module of its own.
"""

import pandas as pd

from tilewright.tables import column_names


class ReferenceWriter:
    """Takes documents one by one; `runs` holds what can be read, by uid."""

    def __init__(self):
        self.runs = {}
        self.descriptors = {}

    def __call__(self, documents):
        for name, doc in documents:
            getattr(self, name)(doc)

    def start(self, doc):
        self.runs[doc["uid"]] = ReferenceRun(dict(doc))

    def descriptor(self, doc):
        stream = self.runs[doc["run_start"]].tables.setdefault(doc["name"], Stream(list(doc["data_keys"])))
        self.descriptors[doc["uid"]] = stream

    def event(self, doc):
        stream = self.descriptors[doc["descriptor"]]
        row = [doc["seq_num"], doc["time"], *self.cells(stream, doc)]
        self.add_row(stream, row)

    def event_page(self, doc):
        stream = self.descriptors[doc["descriptor"]]
        for row in zip(doc["seq_num"], doc["time"], *self.cells(stream, doc), strict=True):
            self.add_row(stream, list(row))

    def cells(self, stream, doc):
        return [doc[part][key] for part in ("data", "timestamps") for key in stream.keys]

    def stop(self, doc):
        self.runs[doc["run_start"]].stop = doc

    def add_row(self, stream, row):
        stream.rows.append(row)


class Stream:
    def __init__(self, keys):
        self.keys = keys
        self.rows = []
        self.rejected = []


class ReferenceRun:
    def __init__(self, start):
        self.start = start
        self.stop = None
        self.tables = {}

    @property
    def streams(self):
        return list(self.tables)

    def table(self, stream, *, timestamps, attempts):
        names = list(column_names(self.tables[stream].keys).values())
        columns = ["seq_num", "time", *names, *(f"ts_{name}" for name in names)]
        return pd.DataFrame(self.tables[stream].rows, columns=columns, dtype=object)

    def rejected(self, stream):
        rejected = self.tables[stream].rejected
        return pd.DataFrame(rejected, columns=["seq_num", "data_key", "value", "reason"], dtype=object)


class Strict(ReferenceWriter):
    """Puts strings that are in a column of numbers aside, as a writer with typed columns does."""

    def descriptor(self, doc):
        super().descriptor(doc)
        stream = self.descriptors[doc["uid"]]
        stream.numbers = [
            key for key, spec in doc["data_keys"].items() if spec["dtype"] in {"number", "integer"}
        ]

    def add_row(self, stream, row):
        row = list(row)
        for place, key in enumerate(stream.keys, start=2):
            if key in stream.numbers and isinstance(row[place], str):
                stream.rejected.append([row[0], key, row[place], "no number"])
                row[place] = None
        super().add_row(stream, row)


class TrustsTheOrderOfKeys(ReferenceWriter):
    def cells(self, stream, doc):
        return [*doc["data"].values(), *doc["timestamps"].values()]


class DropsARow(ReferenceWriter):
    def add_row(self, stream, row):
        if row[0] != 3:
            super().add_row(stream, row)


class DuplicatesARow(ReferenceWriter):
    def add_row(self, stream, row):
        super().add_row(stream, row)
        if row[0] == 3:
            super().add_row(stream, row)


class SwapsTwoRows(ReferenceWriter):
    def add_row(self, stream, row):
        stream.rows.insert(len(stream.rows) - (row[0] == 3), row)


class ChangesAValue(ReferenceWriter):
    def add_row(self, stream, row):
        super().add_row(
            stream,
            [
                *row[:2],
                *(value + 1e-9 if row[0] == 3 and isinstance(value, float) else value for value in row[2:]),
            ],
        )


class IntsToText(ReferenceWriter):
    def add_row(self, stream, row):
        super().add_row(stream, [row[0], *(str(value) if type(value) is int else value for value in row[1:])])


class MutatesDocuments(ReferenceWriter):
    def start(self, doc):
        super().start(doc)
        doc["tilewright"] = "was here"


class MutatesDeeply(ReferenceWriter):
    def descriptor(self, doc):
        super().descriptor(doc)
        for data_key in doc["data_keys"].values():
            data_key.pop("dtype_numpy", None)


class LosesNone(ReferenceWriter):
    def add_row(self, stream, row):
        super().add_row(stream, [0 if value is None else value for value in row])


class LosesAttempts(ReferenceWriter):
    def add_row(self, stream, row):
        stream.rows[:] = [former for former in stream.rows if former[0] != row[0]]
        super().add_row(stream, row)


class MixesRuns(ReferenceWriter):
    def descriptor(self, doc):
        latest = list(self.runs.values())[-1]
        self.descriptors[doc["uid"]] = latest.tables.setdefault(doc["name"], Stream(list(doc["data_keys"])))


class SortsColumns(ReferenceWriter):
    def descriptor(self, doc):
        super().descriptor(doc)
        self.descriptors[doc["uid"]].keys.sort()


class ForgetsTheSecondDescriptor(ReferenceWriter):
    def descriptor(self, doc):
        run = self.runs[doc["run_start"]]
        former = run.tables.get(doc["name"])
        super().descriptor(doc)
        if former:
            self.descriptors[doc["uid"]] = Stream(former.keys)


class RoundsIntegers(ReferenceWriter):
    def add_row(self, stream, row):
        super().add_row(
            stream, [row[0], *(float(value) if type(value) is int else value for value in row[1:])]
        )


class LosesTimestamps(ReferenceWriter):
    def add_row(self, stream, row):
        super().add_row(stream, [*row[:-1], row[1]])


class ForgetsStop(ReferenceWriter):
    def stop(self, doc):
        pass


class InventsStop(ReferenceWriter):
    def start(self, doc):
        super().start(doc)
        self.stop({"run_start": doc["uid"]})


class FlattensMetadata(ReferenceWriter):
    def start(self, doc):
        super().start({key: str(value) if isinstance(value, dict) else value for key, value in doc.items()})


class LosesPages(ReferenceWriter):
    def event_page(self, doc):
        pass


class CutsArrays(ReferenceWriter):
    def add_row(self, stream, row):
        super().add_row(stream, [value[:8] if isinstance(value, list) else value for value in row])


class LosesRejected(Strict):
    def add_row(self, stream, row):
        super().add_row(stream, row)
        stream.rejected.clear()


class KeepsRejectedAsRepr(Strict):
    def add_row(self, stream, row):
        super().add_row(stream, row)
        stream.rejected[:] = [
            [seq_num, key, repr(value), why] for seq_num, key, value, why in stream.rejected[-1:]
        ]


RIGHT = {"ReferenceWriter": ReferenceWriter, "Strict": Strict}
# The test that finds each of them, whatever else does.
FAULTS = {
    TrustsTheOrderOfKeys: "test_events_in_another_order_than_the_descriptor",
    DropsARow: "test_simple_run",
    DuplicatesARow: "test_simple_run",
    SwapsTwoRows: "test_simple_run",
    ChangesAValue: "test_simple_run",
    IntsToText: "test_every_kind_of_scalar",
    MutatesDocuments: "test_simple_run",
    MutatesDeeply: "test_simple_run",
    LosesNone: "test_none[middle]",
    LosesAttempts: "test_repeated_seq_num",
    MixesRuns: "test_interleaved_runs",
    SortsColumns: "test_columns_in_the_order_of_the_descriptor",
    ForgetsTheSecondDescriptor: "test_two_descriptors",
    RoundsIntegers: "test_every_kind_of_scalar",
    LosesTimestamps: "test_simple_run",
    ForgetsStop: "test_no_events",
    InventsStop: "test_no_stop",
    FlattensMetadata: "test_metadata",
    LosesPages: "test_event_page",
    CutsArrays: "test_short_arrays",
    LosesRejected: "test_string_in_a_number_column",
    KeepsRejectedAsRepr: "test_string_in_a_number_column",
}
