"""What must be set before NumPy is imported, and what tests in several folders take."""

import os
import signal

import pytest
from hypothesis import settings

# No test may fail because the machine is busy.
settings.register_profile("pellucid", deadline=None)
settings.load_profile("pellucid")

# The products of NumPy and scikit-learn in these tests are small: threads of BLAS only get in each
# other's way, above all where tests run side by side.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Each of the processes that run tests side by side takes few threads, however many processors there
# are.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "2")

# Nothing that a test writes has to survive a power cut, and waiting for the disk would take longer
# than everything else. What is flushed, and when, is checked by tests that replace this themselves.
os.fsync = lambda descriptor: None

# scikit-learn's checks of array API input are skipped unless SciPy is imported with this.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# A shell starts what runs in the background (`make test &`) with Ctrl-C ignored, and what the tests
# start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng():
    """Return a generator of the test's own: what it draws must not depend on other tests."""
    import numpy as np

    return np.random.default_rng(1)
