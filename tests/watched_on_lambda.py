"""`tollbook.app.on_lambda:app`, in a process that notes what it writes in the file that WRITES names."""

import os

from tests.fakes.writes import note_writes

note_writes(os.environ["WRITES"])

from tollbook.app.on_lambda import app as app  # noqa: E402
