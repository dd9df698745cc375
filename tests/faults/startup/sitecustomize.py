"""Python imports this at the start of every process of a fault test, a supervisor's units too.

So the real command lines run the real programs, with what `overlay` says laid over them.
"""

import os

# A web process is patched by gevent first; `faulty_web` lays it over then.
if os.environ.get("OVERLAY") != "late":
    try:
        import overlay

        overlay.lay_over()
    except Exception as error:
        # Python would print it and go on without us.
        raise SystemExit(70) from error
