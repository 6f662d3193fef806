"""What must be set before anything is imported."""

import os

# scikit-learn's checks of array API input are skipped unless SciPy is imported with this.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
