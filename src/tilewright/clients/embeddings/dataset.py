"""A dataset of embeddings: a run comes in; its rows, vectors, neighbours and sounds go out.

`Run.embeddings` makes it; notebooks, scripts and `tilewright process nearest` use it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from tilewright.clients.embeddings import asking, describing
from tilewright.clients.embeddings.describing import START, describe
from tilewright.clients.embeddings.places import places_of
from tilewright.clients.embeddings.vectors import Vectors
from tilewright.display import html_table
from tilewright.errors import InputError, NotFoundError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from tiled.structures.data_source import DataSource

    from tilewright.clients.catalog import Catalog
    from tilewright.clients.embeddings.approximate import Approximate
    from tilewright.clients.embeddings.listening import Library
    from tilewright.clients.embeddings.pictures import Method
    from tilewright.clients.embeddings.places import Places
    from tilewright.clients.embeddings.searching import Metric
    from tilewright.clients.run import Run
    from tilewright.tables.conditions import Where


_SHOWN = 20
"""Files that the page of a notebook shows."""


class Dataset:
    """Vectors of sound with what their recordings' names tell, a row each: ``run.embeddings().table(where="site_id == 285")``.

    Rows are numbered from 0 in the order in which they were recorded. A `where` is a part of Python's grammar: comparisons of columns
    with numbers and texts, `in`, `is None`, `and`, `or`, `not`; ``recording_start >= '2020-10-14T00:00+10:30'`` compares times, and `row`
    is a column, too.

    Parameters
    ----------
    run
        A run as `tilewright.sources.Embeddings` makes it.
    model
        What made the vectors, where the run does not tell.

    Raises
    ------
    InputError
        If the run has no embeddings, or was made by another model.
    """

    def __init__(self, run: Run, model: str | None = None) -> None:
        self._run = run
        self._described = describe(run)
        if model is not None and self._described.model not in (None, model):
            raise InputError(
                f"Run {run.uid[:8]} says that {self._described.model!r} made its vectors, not {model!r}."
            )
        self._model = model or self._described.model
        self._libraries: dict[str, Library] = {}
        self._recalls: WeakKeyDictionary[Approximate, float] = WeakKeyDictionary()

    @property
    def run(self) -> Run:
        """The run that it is."""
        return self._run

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return str(self._described.start.get("dataset") or self._run.uid[:8])

    @property
    def model(self) -> str | None:
        """What made the vectors; None if nobody said it."""
        return self._model

    @property
    def dimension(self) -> int:
        """Values of a vector."""
        return self._described.dimension

    @property
    def window(self) -> float:
        """Seconds of sound of a vector."""
        return self._described.window

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table."""
        return self._described.columns

    def __len__(self) -> int:
        """Return how many rows there were when it was first asked for vectors."""
        item, _ = self._array
        return int(item["attributes"]["structure"]["shape"][0])

    @property
    def files(self) -> pd.DataFrame:
        """The TFRecord files, one row each: file, fingerprint, size (bytes), records, first (row), rows, rejections, not_finite, overflowed."""
        return self._run.table(describing.FILES).drop(columns=["seq_num", "time"])

    @property
    def rejected(self) -> pd.DataFrame:
        """What is no part of the dataset: file, record (byte at which it begins), filename (where it could be read), reason."""
        if describing.REJECTED not in self._run.streams:
            return pd.DataFrame(columns=["file", "record", "filename", "reason"])
        return self._run.table(describing.REJECTED).drop(columns=["seq_num", "time"])

    def table(self, where: str | None = None, columns: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Return rows, by their numbers. The server looks for them, and sends no others.

        Parameters
        ----------
        where
            Which; None for all.
        columns
            Which of them; None for all.

        Returns
        -------
        DataFrame
            Index: row. Columns: those that the names tell (site_id, …), recording_start (UTC), utc_offset (s, of the recorder's clock),
            seconds_since_midnight (of the beginning of the recording, by that clock), filename, offset (s, from the beginning of the
            recording to that of the window), channel, file (row in `files`), record (byte of that file at which the vector's record
            begins).

        Raises
        ------
        InputError
            If `where` cannot be read, or compares a column with what it is not.
        NotFoundError
            If there is no such column.
        """
        wanted = self._wanted(columns)
        return self._rows(None if where is None else asking.condition(where, self.columns), wanted)

    def vectors(self, where: str | None = None, rows: Sequence[int] | None = None) -> Vectors:
        """Return vectors, to be read when they are needed: of the rows that a condition names, or of these rows, or all.

        Raises
        ------
        InputError
            If `where` cannot be read, or both are given.
        NotFoundError
            If there is no such row.
        """
        if where is not None and rows is not None:
            raise InputError(
                "vectors() takes where= or rows=, not both: write row in [1, 2] into the condition"
            )
        chosen = self.numbers(where) if where is not None else None
        if rows is not None:
            chosen = np.unique(self._checked(np.atleast_1d(np.asarray(rows))))
        described = self._described
        return Vectors(
            self.places,
            chosen,
            len(self),
            described.dimension,
            described.dtype,
            uid=self._run.uid,
            model=self._model,
        )

    def nearest(
        self,
        query: Any,
        k: int = 10,
        where: str | None = None,
        *,
        metric: Metric = "dot",
        index: Approximate | None = None,
    ) -> pd.DataFrame:
        """Return the rows whose vectors are nearest to others, exactly: each vector that is meant is compared.

        Files that are on this machine are mapped into memory, others are asked of the server, and compared block by block; with `where`,
        only what it names is read.

        Parameters
        ----------
        query
            A row's number, or several; a vector, shape (dimension,), or several, (queries, dimension), of the same model; or `vectors()`
            of this dataset or another one. A row of this dataset does not find itself.
        k
            How many of each.
        where
            Among which rows.
        metric
            "dot", "cosine" or "euclidean": what `score` is. Of the first two more is nearer, of the last, a distance, less.
        index
            From `index()`: searched instead, which is quicker, and may miss some. ``attrs["recall"]`` says how many it finds.

        Returns
        -------
        DataFrame
            One row a neighbour, the nearest first: query (its row in the dataset it comes from, else its number in what was given), rank (from
            1), score, row, and the columns of `table`. Attrs: metric, searched (vectors that were compared), not_finite (those left out
            because they have values that are no finite numbers), recall (1.0 without an index).

        Raises
        ------
        InputError
            If vectors of another model or dimension are given; or an index with `where`, or for another metric.
        NotFoundError
            If there is no such row.
        """
        from tilewright.clients.embeddings.neighbours import nearest  # noqa: PLC0415 - imports pandas

        return nearest(self, query, k, where, metric, index)

    def index(self, metric: Metric = "dot", path: str | os.PathLike[str] | None = None) -> Approximate:
        """Return an index of all vectors, for `nearest` to search approximately: by usearch, the extra of that name.

        It takes about a millisecond a vector to build, and all vectors in memory.

        Parameters
        ----------
        path
            A file to keep it in. If it is there, and is of these vectors, it is read from it.

        Raises
        ------
        InputError
            If the file is of other vectors.
        SetupError
            If usearch is not installed.
        """
        from tilewright.clients.embeddings.neighbours import index  # noqa: PLC0415 - imports pandas

        return index(self, metric, path)

    def recall(self, index: Approximate) -> float:
        """Return how many of the ten nearest of a hundred rows, drawn at random, an index finds: 1.0 is all. Measured once."""
        if index not in self._recalls:
            from tilewright.clients.embeddings.neighbours import recall  # noqa: PLC0415 - for who has an index

            self._recalls[index] = recall(self, index)
        return self._recalls[index]

    def listen(self, row: int, catalog: Catalog | None = None, *, speed: float = 1.0) -> Any:
        """Return the sound of a row as a notebook plays it: of the recording of its name, in a deployment of the catalog.

        Parameters
        ----------
        catalog
            Where the recordings are. None: where this run is.
        speed
            As of `Deployment.listen`.

        Raises
        ------
        NotFoundError
            If there is no such row, or no such recording.
        """
        from tilewright.clients.recordings.listening import playable  # noqa: PLC0415 - for notebooks

        samples, rate = self.sound(row, catalog)
        return playable(samples, rate, speed)

    def sound(self, row: int, catalog: Catalog | None = None) -> tuple[NDArray[Any], int]:
        """Return the samples of a row's window, shape (samples,) or (samples, channels), and their rate in Hz: see `listen`."""
        found = self.rows(np.array([row]))
        recording = self._library(catalog).find(str(found["filename"].iloc[0]))
        return recording.cut(float(found["offset"].iloc[0]), self.window), recording.rate

    def plot_map(
        self,
        color: str | None = None,
        where: str | None = None,
        *,
        sample: int = 5000,
        seed: int = 0,
        method: Method | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw vectors in two dimensions: by their two principal components (PCA), unless another method is given.

        Parameters
        ----------
        color
            A column: up to 20 different values have a colour each, of more texts the most frequent ones; more numbers have a scale.
        where
            Among which rows.
        sample
            How many at most; they are drawn at random, the same each time for the same `seed`.
        method
            Makes places of vectors, shape (vectors, dimension) to (vectors, 2): `umap.UMAP().fit_transform`, say.
        """
        from tilewright.clients.embeddings.pictures import plot_map  # noqa: PLC0415 - matplotlib

        return plot_map(self, color, where, sample, seed, method, ax)

    def condition(self, where: str) -> Where:
        """Return the condition that a text is, for the columns of this dataset."""
        return asking.condition(where, self.columns)

    def numbers(self, where: str | None) -> NDArray[np.int64] | None:
        """Return the numbers of the rows that a condition names, in ascending order; None for all."""
        if where is None:
            return None
        found = self._stored([asking.SEQ_NUM], self.condition(where))
        return found[asking.SEQ_NUM].to_numpy(np.int64) - 1

    def rows(self, numbers: NDArray[np.int64]) -> pd.DataFrame:
        """Return rows by their numbers, in any order, as `table` does."""
        wanted = np.unique(self._checked(numbers))
        parts = [
            self._rows(asking.of_rows(wanted[first : first + asking.CONSTANTS].tolist()), list(self.columns))
            for first in range(0, max(len(wanted), 1), asking.CONSTANTS)
        ]
        return pd.concat(parts).loc[numbers]

    @cached_property
    def places(self) -> Places:
        """Where the vectors are."""
        return places_of(self._run, self._described, self._array[1], len(self))

    @cached_property
    def norms(self) -> NDArray[np.float32]:
        """What searches have found of the lengths of the vectors, for the next ones: see `searching.nearest`. Four bytes a row."""
        return np.full(len(self), np.nan, np.float32)

    def refresh(self) -> Dataset:
        """Ask again what there is; return the dataset itself."""
        for known in ("places", "norms", "_array"):
            self.__dict__.pop(known, None)
        self._libraries.clear()
        return self

    @cached_property
    def _array(self) -> tuple[dict[str, Any], DataSource[Any]]:
        return self._described.stream.described_array(describing.VECTOR)

    def _library(self, catalog: Catalog | None) -> Library:
        from tilewright.clients.connect import catalog_of  # noqa: PLC0415 - imports this room
        from tilewright.clients.embeddings.listening import Library  # noqa: PLC0415 - for who listens

        where = catalog_of(self._run) if catalog is None else catalog
        return self._libraries.setdefault(where.uri, Library(where))

    def _wanted(self, columns: str | Iterable[str] | None) -> list[str]:
        names = [columns] if isinstance(columns, str) else list(self.columns if columns is None else columns)
        for name in names:
            if name not in self.columns:
                raise NotFoundError(
                    f"There is no column {name!r} in {self.name}; there are: {', '.join(self.columns)}."
                )
        return names

    def _rows(self, where: Where | None, columns: list[str]) -> pd.DataFrame:
        found = self._stored([asking.SEQ_NUM, *columns], where)
        rows = found.set_index(pd.Index(found[asking.SEQ_NUM].to_numpy(np.int64) - 1, name=asking.ROW))[
            columns
        ]
        if START in rows:
            rows[START] = pd.to_datetime(rows[START], unit="ns", utc=True)
        return rows

    def _stored(self, columns: list[str], where: Where | None) -> pd.DataFrame:
        """Return rows as they are stored: a source takes none twice, so that nobody has to look for that."""
        return self._described.stream.table(columns, where=where, attempts=True)

    def _checked(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        """Return row numbers, if there are such rows."""
        if rows.dtype.kind not in "iu":
            raise InputError(f"Rows are told by whole numbers, not by {rows.dtype}.")
        beyond = rows[(rows < 0) | (rows >= len(self))]
        if beyond.size:
            raise NotFoundError(
                f"There is no row {beyond.flat[0]} in {self.name}; it has {len(self):,}, from 0 on."
            )
        return rows.astype(np.int64)

    def __repr__(self) -> str:
        """Show name, rows, dimension and model."""
        model = "an unknown model" if self.model is None else self.model
        return f"<Dataset {self.name!r} of run {self._run.uid[:8]}: {len(self):,} vectors of {self.dimension:,} values by {model}>"

    def _repr_html_(self) -> str:
        """Show the files as a table in a notebook."""
        files = self.files
        shown = [
            [str(row.file), f"{row.rows:,}", f"{row.rejections:,}"] for row in files.head(_SHOWN).itertuples()
        ]
        more = len(files) - _SHOWN
        note = f"and {more:,} more files; " if more > 0 else ""
        title = f"{self.name}: {len(self):,} vectors of {self.dimension:,} values by {self.model or 'an unknown model'}"
        return html_table(
            title, ["file", "rows", "rejected"], shown, note=f"{note}columns: {', '.join(self.columns)}"
        )
