"""The decode child that the tests of this package share."""

from collections.abc import Iterator

import pytest

from scatterlens_models.decoding import DecodeChild


@pytest.fixture(scope="session")
def child() -> Iterator[DecodeChild]:
    with DecodeChild() as decoder:
        yield decoder
