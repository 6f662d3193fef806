"""Damage to model files: bytes, arrays and header values, with and without a right checksum.

A mutation is a function `(source, rng, donor) -> bytes`, `source` and `donor` being whole files
taken apart. Those in `SIGNED` make the checksum right again, so that what lies behind it is tested.
"""

import copy
import json
import math
from dataclasses import dataclass

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pellucid.persistence.file import _checksum

VALUES = [
    None, True, False, 0, -1, 1, 2, 3, 4, 7, 2**31, 2**63, 2**64, 10**18, 10**400, -(10**30),
    0.5, 1.0, 4.0, 1e-300, 1e308, math.nan, math.inf, -math.inf, "", "x", "\ud800", "a" * 5000,
    "exec", "os.system", "__class__", "float16", "object", "complex128", "<U1000000000", "i4,i4",
    "(9,)i4", "a", "M8[s]", "identity", "softmax", "logistic", "multiclass", "multilabel-indicator",
    "binary", "float64", "bfloat16", "reference", "numeric", "categorical", "left out", "label",
    "numbers", "indicators", "counts", "own", [], [[]], [1], [1.5, "x"], {}, {"": 0},
    {"tuple": []}, {"mapping": {}}, {"tuple": [10**9, 10**9]}, {"Linear": {"fan_out": 3}},
    {"Linear": {"fan_out": 10**15}}, {"Embedding": {"n_rows": 10**12, "dim": 10**6}},
    {"Columns": {"parts": [[4, {"Dropout": {"p": 0.5}}]]}}, {"Add": {"back": 1}},
    {"Activation": {"function": "relu"}}, {"Loss": {"name": "huber", "parameter": 0.5}},
    {"dtype": "str", "values": ["a", "b", "b"]}, {"dtype": "int64", "values": [1, 2, 3]},
    {"dtype": "bool", "values": [False, True]}, {"dtype": "object", "values": [1, "a", None]},
]  # fmt: skip
"""What takes the place of a value, or comes beside it."""

DTYPES = ["f2", "f4", "f8", "i1", "i4", "i8", "u8", "?"]


@dataclass(frozen=True)
class Source:
    """A model file taken apart."""

    data: bytes
    header: dict
    arrays: dict

    @classmethod
    def of(cls, data):
        """Take apart the bytes of a whole file."""
        text = _entries(data)[0]["__metadata__"]["pellucid"].partition(" ")[2]
        return cls(data, json.loads(text), load(data))


def signed(header, arrays):
    """Return a file with a right checksum, whatever its contents."""
    return signed_text(json.dumps(header, separators=(",", ":")), arrays)


def signed_text(text, arrays):
    """Do the same for a header that may not be JSON."""
    arrays = {name: np.ascontiguousarray(a).reshape(np.shape(a)) for name, a in arrays.items()}
    return save(arrays, {"pellucid": f"{_checksum(text, arrays)} {text}"})


def flip_bits(source, rng, donor):
    data = bytearray(source.data)
    for _ in range(int(rng.integers(1, 9))):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(data)


def change_bytes(source, rng, donor):
    data = bytearray(source.data)
    first = _place(data, rng)
    kind = rng.integers(4)
    for i in range(first, min(len(data), first + int(rng.integers(1, 17)))):
        data[i] = (0, 255, b'"{}[],:0'[rng.integers(8)], int(rng.integers(256)))[kind]
    return bytes(data)


def truncate(source, rng, donor):
    return source.data[: int(rng.integers(len(source.data)))]


def delete(source, rng, donor):
    first, last = sorted(rng.integers(len(source.data) + 1, size=2).tolist())
    if rng.integers(2):
        last = min(last, first + 9)
    return source.data[:first] + source.data[last:]


def insert(source, rng, donor):
    first = _place(source.data, rng)
    more = (rng.bytes(int(rng.integers(1, 40))), source.data[first:], b"[" * 3000, b"\0" * 9000)
    return source.data[:first] + more[rng.integers(4)] + source.data[first:]


def splice(source, rng, donor):
    """The start of one file and the end of another, at any place or where sections meet."""
    one, other = source.data, donor.data
    if rng.integers(2):
        return one[: int(rng.integers(len(one) + 1))] + other[int(rng.integers(len(other) + 1)) :]
    return one[: _data_start(one)] + other[_data_start(other) :]


def claim_header_length(source, rng, donor):
    """Another length of the header: random, huge, or a little off."""
    size, had = len(source.data), _data_start(source.data) - 8
    claims = (0, 1, size, size - 8, 99_999_999, 100_000_001, 2**31, 2**63, 2**64 - 1)
    near = max(0, had + int(rng.integers(-9, 10)))
    claim = (*claims, near, near, int(rng.integers(2**63)))[rng.integers(12)]
    return claim.to_bytes(8, "little") + source.data[8:]


def claim_entries(source, rng, donor):
    """Other names, types, shapes and places of the arrays, signed wherever they can be read."""
    entries, rest = _entries(source.data)
    metadata = entries.pop("__metadata__")
    if entries and rng.integers(2):
        _change_shape(entries, rng)
    else:
        entries = _changed(entries, rng)
    if not isinstance(entries, dict):
        entries = {"": entries}
    data = _joined({"__metadata__": metadata, **entries}, rest)
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError):
        return data
    text = metadata["pellucid"].partition(" ")[2]
    metadata = {"pellucid": f"{_checksum(text, arrays)} {text}"}
    return _joined({"__metadata__": metadata, **entries}, rest)


def change_header(source, rng, donor):
    """Replace, delete, retype, swap or repeat a few values of the header."""
    header = copy.deepcopy(source.header)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        header = _changed(header, rng)
    return signed(header, source.arrays)


def change_header_text(source, rng, donor):
    """Change characters of the header: digits, names, brackets."""
    text = list(json.dumps(source.header, separators=(",", ":")))
    for _ in range(int(rng.integers(1, 4))):
        new = '0123456789-.eE"{}[],:atx\\'[rng.integers(25)]
        text[int(rng.integers(len(text)))] = new
    return signed_text("".join(text), source.arrays)


def exchange_headers(source, rng, donor):
    """Take the header, or a part of it, of another model."""
    header = copy.deepcopy(source.header)
    shared = [key for key in header["state"] if key in donor.header["state"]]
    if shared and rng.integers(3):
        key = shared[rng.integers(len(shared))]
        header["state"][key] = donor.header["state"][key]
    else:
        key = ("state", "params", "estimator")[rng.integers(3)]
        header[key] = donor.header[key]
    return signed(header, source.arrays)


def change_arrays(source, rng, donor):
    """Drop, rename, retype, reshape or fill arrays."""
    arrays = {name: np.array(array) for name, array in source.arrays.items()}
    for _ in range(int(rng.integers(1, 3))):
        if not arrays:
            break
        _change_array(arrays, rng, donor)
    return signed(source.header, arrays)


def grow_header(source, rng, donor):
    """A header of megabytes, of values that take far more memory than text."""
    n = int(rng.integers(1, 500_000))
    fillers = ("[]", "{}", '{"a":[]}', "1234567", '"\\ud83d\\ude00"', '"ab"', "1e5", "[[[]]]")
    start, end = (("[", "]"), ('{"a":[', "]}"), ("[[", "]]"))[rng.integers(3)]
    text = json.dumps(source.header, separators=(",", ":"))
    filler = fillers[rng.integers(len(fillers))]
    filled = f'{{"filler":{start}{",".join([filler] * n)}{end},{text[1:]}'
    return signed_text(filled, source.arrays)


def long_labels(source, rng, donor):
    """Many labels or names, one of them long: NumPy would keep all as long as that one."""
    header, n = copy.deepcopy(source.header), int(rng.integers(2, 5000))
    values = [*map(str, range(n)), "a" * int(rng.integers(1, 200_000))]
    places = [(inner, key) for inner, key in _places({"": header}) if isinstance(inner[key], list)]
    inner, key = places[rng.integers(len(places))] if places else (header, "state")
    inner[key] = values
    if "values" in inner:
        inner["dtype"] = "str"
    return signed(header, source.arrays)


SIGNED = {
    "header values": change_header,
    "header values, again": change_header,
    "header text": change_header_text,
    "headers exchanged": exchange_headers,
    "arrays": change_arrays,
    "claimed shapes": claim_entries,
}
UNSIGNED = {
    "flipped bits": flip_bits,
    "changed bytes": change_bytes,
    "truncated": truncate,
    "deleted": delete,
    "inserted": insert,
    "spliced": splice,
    "claimed header length": claim_header_length,
}
LARGE = {"header of megabytes": grow_header, "long labels": long_labels}
MUTATIONS = {**SIGNED, **UNSIGNED}


def _place(data, rng):
    """Any place; the headers, where most is to be broken, as often as all the rest."""
    return int(rng.integers(len(data) if rng.integers(2) else min(len(data), 3000)))


def _data_start(data):
    return 8 + int.from_bytes(data[:8], "little")


def _entries(data):
    start = _data_start(data)
    return json.loads(data[8:start]), data[start:]


def _joined(entries, rest):
    header = json.dumps(entries).encode("utf-8", "surrogatepass")
    return len(header).to_bytes(8, "little") + header + rest


def _change_shape(entries, rng):
    """Another type and shape for the same bytes, or for as many as there never were."""
    entry = entries[rng.choice(sorted(entries))]
    shape = list(entry["shape"])
    shapes = [
        shape[::-1], [1, *shape], [math.prod(shape)], [*shape, 1], [2**62, 4], [2**32, 2**32],
        [-1], [10**9], [0], [], [10**400], [1.5], shape * 2, [*shape[:-1], 2**40],
    ]  # fmt: skip
    if rng.integers(3):
        entry["shape"] = shapes[rng.integers(len(shapes))]
    if rng.integers(3) == 0:
        entry["dtype"] = rng.choice(["F64", "F16", "BF16", "I32", "U32", "BOOL", "C64", "F8_E5M2"])
    if rng.integers(4) == 0:
        entry["data_offsets"] = rng.integers(0, 200, size=2).tolist()


def _changed(tree, rng):
    """Return a copy of JSON values with one of them changed, the whole of it now and then."""
    whole = {"": copy.deepcopy(tree)}
    places = list(_places(whole))
    inner, key = places[rng.integers(len(places)) if rng.integers(20) else 0]
    operation = rng.integers(8)
    if operation < 4:
        inner[key] = _other(inner[key], rng)
    elif operation == 4:
        del inner[key]
    elif operation == 5:
        other, name = places[rng.integers(len(places))]
        inner[key] = copy.deepcopy(other[name])
    elif isinstance(inner, list):
        inner.insert(key, copy.deepcopy(inner[key]) if operation == 6 else _other(None, rng))
    else:
        inner["xyz"[rng.integers(3)]] = _other(inner[key], rng)
    return whole.get("")


def _places(tree):
    """Yield every value of a tree as what it lies in, and its key there."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _other(value, rng):
    """Return something near the value, of another type or quite different."""
    if rng.integers(3) == 0:
        if isinstance(value, int | float) and not isinstance(value, bool):
            choices = [
                -value,
                value + 1,
                value - 1,
                value * 10**9,
                str(value),
                value / 2 if abs(value) < 1e300 else 0.5,
                [value],
            ]
            return choices[rng.integers(len(choices))]
        if isinstance(value, str):
            return [value[::-1], value + "x", [value], list(value), value.upper()][rng.integers(5)]
        if isinstance(value, list):
            return [value[::-1], value + value, value[:-1], [value], dict(enumerate(value))][
                rng.integers(5)
            ]
        if isinstance(value, dict):
            return [list(value), list(value.items()), [value], {"mapping": value}][rng.integers(4)]
    return copy.deepcopy(VALUES[rng.integers(len(VALUES))])


def _change_array(arrays, rng, donor):
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    operation = rng.integers(12)
    if operation == 0:
        del arrays[name]
    elif operation == 1:
        arrays[str(rng.choice(["0.W", "9.b", "", "0.W.W", "π", "__metadata_"]))] = arrays.pop(name)
    elif operation == 2:
        other = rng.choice(sorted(arrays))
        arrays[name], arrays[other] = arrays[other], arrays[name]
    elif operation == 3:
        arrays[name] = array.T
    elif operation == 4:
        arrays[name] = array.reshape([(-1,), (1, *array.shape), (*array.shape, 1)][rng.integers(3)])
    elif operation == 5:
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(DTYPES[rng.integers(len(DTYPES))])
    elif operation == 6:
        arrays[name] = array[: int(rng.integers(array.shape[0] + 1))] if array.ndim else array
    elif operation == 7:
        arrays[name] = np.concatenate([array, array]) if array.ndim else array
    elif operation == 8:
        with np.errstate(all="ignore"):
            value = [np.nan, np.inf, -np.inf, 1e38, 1e-45, 0.0, -1.0][rng.integers(7)]
            arrays[name] = np.full_like(array, value)
    elif operation == 9:
        shuffled = rng.permutation(np.array(bytearray(array.tobytes()))).tobytes()
        arrays[name] = np.frombuffer(shuffled, array.dtype).reshape(array.shape)
    elif operation == 10:
        for each, other in arrays.items():
            with np.errstate(all="ignore"):
                arrays[each] = other.astype("f8" if other.dtype == "f4" else "f4")
    else:
        arrays[name] = donor.arrays[rng.choice(sorted(donor.arrays))]
