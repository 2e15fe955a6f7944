"""Embeddings: a row a vector, of which there are several in a record of a TFRecord, and many in an NPY file."""

import numpy as np

from tilewright.tfrecords import encode_example, write_records

from .base import NPY_ROWS, TFRECORD, Emitter, case, external, file_uri, indexed

WINDOWS, DIMENSION = 4, 8


def vectors_in_files(folder, vectors, records, **options):
    """Write files of so many records each, and return their paths."""
    paths, first = [], 0
    for number, count in enumerate(records):
        path = folder / f"{number}.tfrecord"
        parts = vectors[first : first + count * WINDOWS].reshape(count, WINDOWS, 1, DIMENSION)
        write_records(
            path, [encode_example("a.flac", 20.0 * n, part, **options) for n, part in enumerate(parts)]
        )
        paths.append(path)
        first += count * WINDOWS
    return paths


def in_file(path, vectors):
    """Return these vectors as they are in a file, record by record: bytes that are there as they were written, one behind the other."""
    content, place, found = path.read_bytes(), 0, []
    for record in vectors.reshape(-1, WINDOWS, DIMENSION):
        place = content.index(record.tobytes(), place)
        found.append(np.frombuffer(content, "<f4", record.size, place).reshape(record.shape))
        place += record.nbytes
    return np.concatenate(found)


def dataset(folder, records, kept=None, **options):
    """Write files, and the documents about them: an event a vector. `kept` has stretches and rows of each file."""
    vectors = indexed(sum(records) * WINDOWS, DIMENSION, dtype="<f4")
    run, first, parts = Emitter(img=external([DIMENSION], "<f4")), 0, []
    for number, path in enumerate(vectors_in_files(folder, vectors, records, **options)):
        own, vectors = np.split(vectors, [records[number] * WINDOWS])
        there = in_file(path, own)
        parameters = {}
        if kept is not None:
            parameters["stretches"], rows = kept[number](path)
            there = there[rows]
        resource = run.resource(TFRECORD, file_uri(path), chunk_shape=[10], **parameters)
        run.datum(resource, first, first + len(there))
        run.events(len(there))
        parts.append(there)
        first += len(there)
    return run.written(img=np.concatenate(parts))


@case("TFRecord")
def embeddings(folder, stack):
    """Four vectors a record, as the bytes of an array."""
    return dataset(folder, (3, 1, 2))


@case("TFRecord")
def embeddings_as_lists(folder, stack):
    """Vectors as lists of floats."""
    return dataset(folder, (2, 2), float_val=True)


@case("TFRecord")
def embeddings_left_out(folder, stack):
    """Vectors that are left out, and a damaged record."""

    def damaged(path):
        content = bytearray(path.read_bytes())
        each = len(content) // 3
        content[each] ^= 0xFF
        path.write_bytes(content)
        return [[0, 0, 1], [0, 2, 2], [2 * each, 1, 3]], [0, 2, 3, 9, 10, 11]

    return dataset(folder, (3, 1), [damaged, lambda _: ([[0, 0, 4]], [0, 1, 2, 3])])


@case("NPY")
def rows_of_npy_files(folder, stack):
    """Many rows in each file, an event a row; the last one has more than are promised."""
    values = indexed(20, 3, dtype="<f2")
    run = Emitter(img=external([3], "<f2"))
    for number, (start, stop, promised) in enumerate([(0, 7, 7), (7, 8, 8), (8, 20, 18)]):
        path = folder / f"{number}.npy"
        np.save(path, values[start:stop])
        run.datum(run.resource(NPY_ROWS, file_uri(path), chunk_shape=[4]), start, promised)
        run.events(promised - start)
    return run.written(img=values[:18])
