"""What schemathesis cannot know by itself: formats, and which of the requests would end it."""

import io
import os
import zipfile

import schemathesis


@schemathesis.serializer("application/zip")
def zipped(_context, value):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("bundle.json", repr(value))
    return stream.getvalue()


@schemathesis.hook
def filter_case(_context, case) -> bool:
    """It reads the list of keys, and would revoke the one that it comes with."""
    own = os.environ["SCATTERLENS_TEST_KEY"].split("_")[1]
    return (case.path_parameters or {}).get("key_id") != own
