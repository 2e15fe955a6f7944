"""What the tests of stores get: a place in the S3 server that all tests share."""

import pytest

from tilewright.stores.objects import ObjectPersister


@pytest.fixture
def objects(bucket, s3_options):
    """Return a persister on a new bucket, below a prefix."""
    return ObjectPersister.at(f"s3://{bucket}/lab/audio", allow_delete=True, **s3_options)
