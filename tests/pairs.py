"""Fewer cases than a full product has, where no more than two options act on each other."""

from itertools import product


def product_with(values, *axes):
    """Return every combination of `axes` with one of `values` each, so that all pairs occur."""
    cases = list(product(*(enumerate(axis) for axis in axes)))
    return [
        (values[sum(place for place, _ in case) % len(values)], *(value for _, value in case))
        for case in cases
    ]
