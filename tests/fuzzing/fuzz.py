"""Load damaged model files, one after another, and say what became of each.

    python tests/fuzzing/fuzz.py RESULTS FIRST LAST     one byte a case goes into the file RESULTS
    python tests/fuzzing/fuzz.py --case NUMBER          one case again, with what went wrong

Case i is always the same file. What may become of it: a `ModelFileError`; the same model, to the
bit; or, where the checksum was made right for another content, another model that works: it
predicts finite numbers or raises a ValueError, describes itself, and can be saved and loaded again.
Nothing else may happen: no other error, no warning, no crash, no memory beyond twice the file's
size plus 256 MiB while loading, no code run.
"""

import mmap
import os
import signal
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzzing.examples import FOLDER_OF_BEFORE, data_of, make_examples
from fuzzing.mutations import LARGE, MUTATIONS, SIGNED, Source
from fuzzing.watch import memory_limit, no_code_run

import pellucid
from pellucid.persistence import ModelFileError

OUTCOMES = ("not run", "running", "refused", "the same model", "another model", "WRONG")
ALLOWANCE = 256 * 2**20
SECONDS = 20
#: One case in so many has a header of megabytes, which takes long.
LARGE_EVERY = 100


def kind_of(case):
    """Return the kind of mutation of a case."""
    if case % LARGE_EVERY == 0:
        return list(LARGE)[case // LARGE_EVERY % len(LARGE)]
    return list(MUTATIONS)[case % len(MUTATIONS)]


class WrongError(Exception):
    """What a model file must not do; the message says what it did."""


class Fuzzer:
    """Original models, and what they predict."""

    def __init__(self, folder):
        self.path = Path(folder) / "damaged.pellucid"
        self.sources, self.expected = {}, {}
        for name, model in make_examples().items():
            model.save(self.path)
            self._add(name, self.path)
        for path in sorted(FOLDER_OF_BEFORE.glob("*.pellucid")):
            self._add(path.stem, path)

    def _add(self, name, path):
        self.sources[name] = Source.of(path.read_bytes())
        loaded = pellucid.load(path)
        self.expected[name] = _predictions(loaded)
        repr(loaded), str(loaded.describe())  # imports what they need

    def file_of(self, case):
        """Return the kind of mutation, the name of the original, and the damaged file."""
        rng = np.random.default_rng([8, case])
        kind, names = kind_of(case), list(self.sources)
        name = names[(case // len(MUTATIONS)) % len(names)]
        donor = self.sources[names[rng.integers(len(names))]]
        return kind, name, {**MUTATIONS, **LARGE}[kind](self.sources[name], rng, donor)

    def run(self, case):
        """Return what became of a case, an entry of `OUTCOMES`; raise `WrongError`."""
        kind, name, data = self.file_of(case)
        self.path.write_bytes(data)
        model = self._load(len(data))
        if model is None:
            return "refused"
        with no_code_run() as events:
            outputs = _predictions(model)
            str(model.describe())
        if events:
            raise WrongError(f"predicting ran code: {events[:3]}")
        if outputs == self.expected[name]:
            return "the same model"
        if kind not in {**SIGNED, **LARGE} and outputs not in self.expected.values():
            raise WrongError("a file with a wrong checksum was taken for another model")
        if data not in {source.data for source in self.sources.values()}:
            self._check_saving(model, outputs)
        return "another model"

    def _load(self, size):
        """Return the model of the file, or None where it is refused as it should be."""
        with no_code_run() as events, memory_limit(2 * size + ALLOWANCE):
            try:
                model = pellucid.load(self.path)
            except ModelFileError as error:
                model, cause = None, error
            else:
                cause = None
        if events:
            raise WrongError(f"loading ran code: {events[:3]}")
        while cause is not None:
            if isinstance(cause, MemoryError):
                raise WrongError("loading asked for more memory than twice the file and 256 MiB")
            cause = cause.__cause__ or cause.__context__
        return model

    def _check_saving(self, model, outputs):
        model.save(self.path)
        if _predictions(pellucid.load(self.path)) != outputs:
            raise WrongError("the model changes when it is saved and loaded")


def _predictions(model):
    """Return what a model says of its rows as bytes, or the ValueError that it raises."""
    data, outputs = data_of(model), []
    for method in ("predict", "predict_proba", "scores"):
        if not hasattr(model, method):
            continue
        try:
            values = getattr(model, method)(data)
        except ValueError:
            outputs.append("ValueError")
            continue
        except AttributeError:  # a network without labels has no predict_proba
            if method != "predict_proba":
                raise
            continue
        values = values.toarray() if hasattr(values, "toarray") else values
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise WrongError(f"{method} gives values that are not finite")
        if len(values) != len(data):
            raise WrongError(f"{method} gives {len(values)} rows for {len(data)}")
        if method == "predict_proba" and (values.min() < 0 or values.max() > 1 + 1e-6):
            raise WrongError(f"probabilities from {values.min()} to {values.max()}")
        content = values.tolist() if values.dtype.kind in "OU" else values.tobytes()
        outputs.append((values.dtype.str, values.shape, content))
    return outputs


def run_range(results, first, last):
    """Run the cases from `first` up to `last`; byte i of `results` says what became of case i.

    A crash leaves the byte of its case at "running"; SIGALRM ends a case that takes too long.
    """
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as folder,
        Path(results).open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as outcomes,
    ):
        fuzzer = Fuzzer(folder)
        for case in range(first, last):
            outcomes[case] = OUTCOMES.index("running")
            signal.alarm(SECONDS)
            try:
                outcome = fuzzer.run(case)
            except Exception as error:
                outcome = "WRONG"
                kind, name, _ = fuzzer.file_of(case)
                print(f"case {case}: {kind}, {name}: {type(error).__name__}: {error}", flush=True)
            outcomes[case] = OUTCOMES.index(outcome)
        signal.alarm(0)


def main():
    warnings.simplefilter("error")
    # Right for a table encoder that did not get to know them.
    warnings.filterwarnings("ignore", message="X has feature names")
    # A damaged file may know other ranges of the columns.
    warnings.filterwarnings("ignore", message="The table differs from that of training")
    if sys.argv[1] == "--case":
        with tempfile.TemporaryDirectory() as folder:
            fuzzer, case = Fuzzer(folder), int(sys.argv[2])
            print(*fuzzer.file_of(case)[:2], sep=", ")
            print(fuzzer.run(case))
    else:
        run_range(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
