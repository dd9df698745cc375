"""Files of a request: written to disk as they arrive, gone when the request ends."""

import io
import os
import tempfile
import time
from pathlib import Path
from typing import IO, Any, cast

from flask import Request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.formparser import FormDataParser

from core.errors import InvalidInputError


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


class _Body:
    """A body that is read once: how many bytes came of it, and whether its end was seen."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.came = 0
        self.ended = False

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.came += len(data)
        self.ended = not data
        return data


class WholeForms(FormDataParser):
    """Reads forms; werkzeug takes one with files that was cut for one that is empty."""

    def _parse_multipart(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str],
    ) -> Any:
        body = _Body(stream)
        try:
            parsed = super()._parse_multipart(
                cast("IO[bytes]", body), mimetype, content_length, options
            )
        except ClientDisconnected:
            raise _incomplete(body.came, content_length) from None
        except ValueError:
            if not body.ended:
                raise
            raise _incomplete(body.came, content_length) from None
        if body.came < (content_length or 0):
            raise _incomplete(body.came, content_length)
        return parsed


def _incomplete(came: int, length: int | None) -> InvalidInputError:
    short = f"{came} of {length} bytes came" if came < (length or 0) else "its end did not come"
    return InvalidInputError(
        f"The request ended before its file was complete: {short}. Send it again; nothing was "
        "kept.",
        code="incomplete_upload",
    )


class ApiRequest(Request):
    """A request whose files are spools, closed with it even if it was cut in the middle."""

    form_data_parser_class = WholeForms

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
