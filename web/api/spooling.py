"""Files of a request: written to disk as they arrive, gone when the request ends."""

import io
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from flask import Request


class Spool(io.FileIO):
    """A file on disk that lasts as long as its request; `path` says where."""

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="neozork-upload-")
        self.path = Path(name)
        super().__init__(handle, "w+b")

    def write(self, data: Any) -> int:
        """Write all of it, then give way: a fast sender must not hold up other requests."""
        left = memoryview(data)
        while left:
            left = left[super().write(left) :]
        time.sleep(0)
        return len(data)

    def close(self) -> None:
        """Remove the file."""
        if not self.closed:
            super().close()
            self.path.unlink()

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return os.fstat(self.fileno()).st_size


class ApiRequest(Request):
    """A request whose files are spools, closed with it even if it was cut in the middle."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._spools: list[Spool] = []

    def _get_file_stream(self, *_args: Any, **_kwargs: Any) -> Spool:
        self._spools.append(Spool())
        return self._spools[-1]

    def close(self) -> None:
        """Close the request, and every file that it brought."""
        super().close()
        for spool in self._spools:
            spool.close()
