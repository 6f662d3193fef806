"""Reading many numbers at once is the same as reading them one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pellucid.tables.number_notation import NumberAsText, number_in, plain_number, written_number
from pellucid.tables.number_shapes import numbers_in, shapes_of

CELLS = st.one_of(
    st.text("0123456789.,-+−()$€%e' \u00a0", max_size=12),
    st.from_regex(
        r"(\$|kr\. |-|\(|)(0|[1-9]\d{0,2}(,\d{3}){0,5}|\d{1,18})(\.\d{0,9}|,\d{3}|)( ?%| EUR|\)|)",
        fullmatch=True,
    ),
    st.sampled_from(
        ["nan", "-inf", "1e400", "1_000", "１２", "٣.٥", "²", "a\nb", "", "\x001", "01", "1.2.3.4"]
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: NumberAsText(repr(x))),
)
#: Enough cells of a shape to be read at once.
TEXTS = st.lists(CELLS, unique=True, max_size=20).flatmap(
    lambda cells: st.builds(
        lambda first, more: list(dict.fromkeys([*first, *more])),
        st.just(cells),
        st.lists(st.integers(0, 10**9), max_size=30).map(
            lambda numbers: [f"${n / 100:,.2f}" for n in numbers] + [f"({n:,})" for n in numbers]
        ),
    )
)


def same(a, b):
    return (a is None and b is None) or np.float64(a).tobytes() == np.float64(b).tobytes()


@given(TEXTS)
def test_all_texts_of_a_shape_are_written_like_the_first(texts):
    shapes = shapes_of(texts)
    assert sorted(text for shape in shapes for text in shape.texts) == sorted(texts)
    for shape in shapes:
        for text in shape.texts:
            one, first = written_number(text), shape.written
            assert (one is None) == (first is None)
            assert (plain_number(text) is None) == (not shape.is_plain)
            if one is not None:
                for name in ("negative", "currency", "percent", "parentheses"):
                    assert getattr(one, name) == getattr(first, name)
                for decimal in ".,":
                    assert one.separator(decimal) == first.separator(decimal)
                    assert one.is_whole(decimal) == first.is_whole(decimal)


@given(TEXTS)
def test_values_of_a_shape_are_those_of_its_texts(texts):
    for shape in shapes_of(texts):
        for decimal in ".,":
            one_by_one = [n and n.value(decimal) for n in map(written_number, shape.texts)]
            at_once = shape.values(decimal)
            assert all(map(same, one_by_one, at_once or [None] * len(one_by_one)))


@given(TEXTS)
def test_numbers_in_many_texts(texts):
    for decimal in ".,":
        found = numbers_in(texts, decimal)
        assert all(same(found.get(text), number_in(text, decimal)) for text in texts)


def test_whole_numbers_are_exact():
    numbers = [10**17 + i for i in range(50)]
    (shape,) = shapes_of(f"-{number:,}" for number in numbers)
    assert shape.whole_values() == [-number for number in numbers]
