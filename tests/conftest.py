"""What must be set before anything is imported."""

import os
import signal

# scikit-learn's checks of array API input are skipped unless SciPy is imported with this.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# A shell starts what runs in the background (`make test &`) with Ctrl-C ignored, and what the tests
# start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
