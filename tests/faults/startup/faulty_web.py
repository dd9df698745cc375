"""What gunicorn serves in a fault test: the application, with fail points laid over it.

Imported by a gunicorn worker, which gevent has patched by then.
"""

import overlay

overlay.lay_over()

# Its routes take `submit_job` as they are imported, so after the points were laid over it.
from web.wsgi import app  # noqa: E402

__all__ = ["app"]
