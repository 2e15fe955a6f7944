"""Arrays in files that dascore reads, as a server shows them; `tests/cli/test_record_das.py` has whole acquisitions."""

import numpy as np
import pytest
from tiled.adapters.utils import DataNotReadyError

from tilewright.errors import InputError
from tilewright.formats import open_array
from tilewright.formats.dascore_files import MIMETYPE, Patches
from tilewright.formats.ranges import Places
from tilewright.testing.cables import samples_of

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")


def test_files_after_one_another(write_dascore, register, resource, descriptor, datum):
    paths = [write_dascore(f"{number}.h5", 400 * number, 400, by_time=number != 1) for number in range(3)]
    uris = [f"file://localhost{path}" for path in paths]
    array = open_array(resource(MIMETYPE, uris[0], "r0", chunk_shape=[100]), descriptor([8], "<f4"))
    for number, uri in enumerate(uris):
        if number:
            array.add_resource(resource(MIMETYPE, uri, f"r{number}", chunk_shape=[100]))
        array.add_datum(datum(0, 400, f"r{number}", (400 * number + 1, 400 * number + 401)))
    node = register(array)
    whole = samples_of(0, 1_200, 8)
    assert np.array_equal(node.read(), whole)
    assert np.array_equal(node[390:810:3, 2:7], whole[390:810:3, 2:7])
    paths[2].unlink()
    assert np.array_equal(node[300:500], whole[300:500])


def rows(path, dtype="<f4", row=(8,)):
    uris = [f"file://localhost{path}"]
    return Patches(uris, Places([[0, 0, 500]]), np.dtype(dtype), row, {})


def test_what_does_not_fit(write_dascore, tmp_path):
    path = write_dascore(count=400)
    assert rows(path).read(100, 400).shape == (300, 8)
    with pytest.raises(DataNotReadyError, match="400 samples of 401"):
        rows(path).read(100, 401)
    for other in ({"dtype": "<f8"}, {"row": (9,)}, {"row": ()}):
        with pytest.raises(ValueError, match="holds float32 of 8 channels, declared is"):
            rows(path, **other).read(0, 10)
    text = tmp_path / "x.txt"
    text.write_text("no")
    with pytest.raises(InputError, match="is no file that dascore knows"):
        rows(text).read(0, 10)


def test_a_file_that_was_written_anew(write_dascore):
    path = write_dascore(count=400)
    assert rows(path).read(0, 1)[0, 0] == 0
    path.unlink()
    write_dascore(first=7, count=500)
    assert rows(path).read(0, 500)[0, 0] == 7_000
