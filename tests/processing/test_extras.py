"""Without what an extra installs, the error says which one; nothing slow is imported before it is needed."""

import subprocess
import sys

import numpy as np
import pytest

from tilewright.errors import SetupError
from tilewright.processing import Bandpass, Envelope, Median, Pipeline, Shape, Signal
from tilewright.processing.dask_arrays import to_dask
from tilewright.processing.pictures import png

SIGNAL = Signal(lambda start, stop: np.zeros((2, stop - start)), Shape(2, 300, 100.0))


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("scipy.signal", lambda: Pipeline((Bandpass(10, 10.5, 3),)).run(SIGNAL, chunk=10)),
        ("scipy.fft", lambda: list(Pipeline((Envelope(),)).run(SIGNAL, chunk=10))),
        ("PIL.Image", lambda: png(np.zeros((256, 256), np.uint8))),
        ("dask.array", lambda: to_dask(Pipeline(()), np.zeros((2, 300)), 100.0, chunk=10)),
    ],
)
def test_what_is_not_installed_is_named(module, use, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SetupError, match=rf"without {module}: .* 'tilewright\[das\]' has it"):
        use()


def test_median_needs_no_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.fft", None)
    assert next(Pipeline((Median(),)).run(SIGNAL, chunk=300)).values.shape == (2, 300)


def test_importing_it_imports_nothing_slow():
    code = (
        "import sys, tilewright.processing, tilewright.processing.pictures, tilewright.processing.dask_arrays\n"
        "print(sorted({'scipy', 'PIL', 'dask', 'pandas', 'xarray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
