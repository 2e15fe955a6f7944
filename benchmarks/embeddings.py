"""Embeddings: from TFRecords into a catalog, and exact search, beside numpy's own matrix product.

Files of the true layout: records of 12 vectors of 1,280 float32, a minute each, in the names of recordings of two hours. All of it is in the page
cache. Beside it, numpy: `X @ q` of all vectors in memory, which nobody has to read or to sort; and records read with protobuf and google-crc32c
in a loop, which nobody stores.

    catalog    from the files until the server has all rows and all vectors, all CRCs checked
    search     one query among all vectors, by their dot product: in NPY files or TFRecords that are mapped into memory, the first
               time and later ones; and 64 queries at once
    filtered   ten neighbours among 2,000 rows that a condition names, with all that is known of them

Three sizes, so that what 14.4 million rows take can be told: `docs/embeddings.md`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench.lines import OURS, Figures, lines, show
from bench.measuring import Options, alone, in_turn, median_seconds
from bench.processes import served
from bench.writers import Place, ours

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMPY = "numpy"
DIMENSION, RECORDS = 1280, 4_000
"""Values of a vector; records of a file: 48,000 vectors, 247 MB."""
FILES = (1, 3, 9)
"""Of the three sizes."""
QUERIES = 64
REPEATS = 7
FILTER = "site_id == 285 and subsite_name == 'Dry-A' and offset < 600 and seconds_since_midnight < 60000"
MICRO, MILLI, MEGA = 1e6, 1e3, 1e6


def measure(name: str, place: Place, folder: Path, files: tuple[int, ...]) -> Figures:
    """Return the figures of one run."""
    if name == NUMPY:
        return _by_numpy(folder)
    figures: Figures = {}
    for number, count in enumerate(files, start=1):
        figures |= _of_size(place, folder, count, "" if number == len(files) else f"-{number}")
    return figures


def _by_numpy(folder: Path) -> Figures:
    data = min(folder.iterdir()).read_bytes()
    began = time.perf_counter()
    count = sum(_parsed(data))
    figures = {"embeddings-catalog": count / (time.perf_counter() - began)}
    vectors = np.random.default_rng(1).standard_normal((100_000, DIMENSION), np.float32)
    query, queries = vectors[7].copy(), vectors[:QUERIES].T.copy()
    figures["embeddings-search"] = median_seconds(lambda: vectors @ query, REPEATS) / len(vectors) * MICRO
    of_all = median_seconds(lambda: vectors @ queries, REPEATS)
    return figures | {"embeddings-search-64": of_all / len(vectors) / QUERIES * MICRO}


def _parsed(data: bytes) -> Iterator[int]:
    """Yield how many vectors each record has, read as plainly as can be."""
    from tilewright.tfrecords.crc import masked_crc  # noqa: PLC0415 - each process imports what it measures
    from tilewright.tfrecords.messages import messages  # noqa: PLC0415

    kinds, at = messages(), 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        payload = data[at + 12 : at + 12 + length]
        assert masked_crc(payload) == int.from_bytes(data[at + 12 + length : at + 16 + length], "little")
        features = kinds.example.FromString(payload).features.feature
        tensor = kinds.tensor.FromString(features["embedding"].bytes_list.value[0])
        found = np.frombuffer(tensor.tensor_content, "<f4").reshape(-1, DIMENSION)
        yield len(found)
        at += 16 + length


def _of_size(place: Place, folder: Path, files: int, name: str) -> Figures:
    """Return the figures of the first files; those that are told of one size alone, only of the last, which has no name."""
    from tilewright import open_catalog  # noqa: PLC0415 - each process imports what it measures

    paths = sorted(folder.iterdir())[:files]
    with open_catalog(place.uri) as catalog:
        runs, figures = {}, {}
        for store in ("register", "npy"):
            uid, told = _recorded(place, paths, store, f"{store} of {files}")
            runs[store] = catalog[uid].embeddings()
            figures |= {
                f"embeddings-{case}{name}": value for case, value in told.items() if store == "register"
            }
        os.sync()  # or the system writes to the disk what was just recorded, while the search is measured
        mapped, count = runs["npy"], len(runs["npy"])
        query = mapped.vectors(rows=[7])[:]
        first = _seconds_of_search(mapped, query)
        later = median_seconds(lambda: _seconds_of_search(mapped, query), REPEATS)
        figures[f"embeddings-search{name}"] = later / count * MICRO
        figures[f"embeddings-filtered{name}"] = (
            median_seconds(lambda: mapped.nearest(7, where=FILTER), REPEATS) * MILLI
        )
        if name:
            return figures
        several = mapped.vectors(rows=range(QUERIES))[:]
        of_all = median_seconds(lambda: _seconds_of_search(mapped, several), 3)
        in_place = runs["register"]
        _seconds_of_search(in_place, query)
        in_records = median_seconds(lambda: _seconds_of_search(in_place, query), 3)
        before = _anonymous_bytes()
        mapped.nearest(7)
        in_catalog = _bytes_in(place.folder, "*.db*", "*.duckdb*") / catalog.table()["events"].sum()
        return figures | {
            "embeddings-catalog-bytes": float(in_catalog),
            "embeddings-search-first": first / count * MICRO,
            "embeddings-search-64": of_all / count / QUERIES * MICRO,
            "embeddings-search-tfrecord": in_records / count * MICRO,
            "embeddings-nearest": median_seconds(lambda: mapped.nearest(7), REPEATS) * MILLI,
            "embeddings-memory": (_anonymous_bytes() - before) / MEGA,
        }


def _recorded(place: Place, paths: list[Path], store: str, dataset: str) -> tuple[str, Figures]:
    """Record files; return the uid of the run, embeddings a second, and bytes a row of the journal."""
    from tilewright.sources import Embeddings  # noqa: PLC0415 - each process imports what it measures

    dataset = f"{dataset}, {time.time()}"  # one that is not there yet
    options: dict[str, Any] = (
        {} if store == "register" else {"store": store, "store_path": place.folder / "out"}
    )
    source = Embeddings(paths, dataset=dataset, model="any", **options)
    with ours(place, on_stop="return") as write:
        began = time.perf_counter()
        for document in source.documents():
            write(*document)
        assert write.flush(), "files were refused"
        took = time.perf_counter() - began
        journal = _bytes_in(write.journal, "*.twj")
    assert not source.problems, source.problems
    rows = _rows(paths)
    return source.uid(), {
        "catalog": rows / took,
        "journal-bytes": journal / rows,
    }


def _rows(paths: list[Path]) -> int:
    from tilewright.tfrecords import fingerprint  # noqa: PLC0415 - each process imports what it measures

    return sum(fingerprint(path).records for path in paths) * 12


def _seconds_of_search(dataset: Any, queries: np.ndarray[Any, Any]) -> float:
    """Search all vectors of a dataset; return the seconds it took."""
    from tilewright.clients.embeddings.searching import nearest  # noqa: PLC0415 - each process imports what it measures

    began = time.perf_counter()
    found = nearest(dataset.places.blocks(), queries, 10, "dot", norms=dataset.norms)
    assert found.searched == len(dataset)
    return time.perf_counter() - began


def _bytes_in(folder: Path, *patterns: str) -> int:
    return sum(path.stat().st_size for pattern in patterns for path in folder.rglob(pattern))


def _anonymous_bytes() -> int:
    """Return the memory of this process that is no file's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell")


def main() -> None:
    """Measure both in turn, several times."""
    from tilewright.testing.embeddings import write_dataset  # noqa: PLC0415 - so that --help is quick

    options = Options(__doc__, (OURS, NUMPY))
    records = options.size(RECORDS, least=10)
    with served() as place:
        folder = place.folder / "tfrecords"
        vectors = write_dataset(folder, FILES[-1], records, dimension=DIMENSION, unit=2.0**-20)
        results = in_turn(options, lambda name: alone(measure, name, place, folder, FILES))
        sizes = f"{vectors:,} vectors of {DIMENSION:,}"
        show(lines(results, dict.fromkeys(results, sizes)))


if __name__ == "__main__":
    main()
