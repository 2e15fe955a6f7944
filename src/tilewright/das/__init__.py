"""Files of fibre-optic cables: what one says of itself, and its samples by index. The source, formats and tests call it.

    prodml       ProdML 2.x, as OptaSense, Silixa and others write it     HDF5, /Acquisition/Raw[0]/RawData
    silixa       Silixa's own                                             HDF5, /Acoustic
    terra15      Terra15's own, versions 4 to 6                           HDF5, /data_product/data
    zarr         ProdML's arrays in a Zarr group, also at a URL           RawData, RawDataTime
    dascore      whatever dascore reads, if it is installed               one patch of time and distance

`probe` tells them apart by what is in them, whatever they are called. Nothing here knows of documents.
"""

from tilewright.das.facts import DISTANCE, TIME, Facts
from tilewright.das.files import probe, read
from tilewright.das.urls import checked, is_url, refusals
from tilewright.das.zarr_arrays import open_zarr
from tilewright.das.zarr_store import is_store

__all__ = [
    "DISTANCE",
    "TIME",
    "Facts",
    "checked",
    "is_store",
    "is_url",
    "open_zarr",
    "probe",
    "read",
    "refusals",
]
