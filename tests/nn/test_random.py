import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.nn.random import Purpose, Stream, permutation, philox

# The known answers distributed with the paper's own implementation, Random123.
KNOWN_ANSWERS = [
    (
        [0, 0, 0, 0],
        [0, 0],
        [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
    ),
    (
        [0xFFFFFFFF] * 4,
        [0xFFFFFFFF] * 2,
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
    ),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]

seeds = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter, key, expected):
    words = philox(np.array([counter], dtype=np.uint32), key[0] | key[1] << 32)
    assert words.tolist() == [expected]


@given(seeds, st.integers(0, 2**32), st.integers(0, 60))
def test_permutation_is_one_and_is_the_documented_one(seed, epoch, n):
    order = permutation(seed, epoch, n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))
    random = Stream(seed, Purpose.PERMUTATION, epoch=epoch).bits(n).tolist()
    expected = list(range(n))
    for i in range(n - 1, 0, -1):
        j = random[i] * (i + 1) >> 64
        expected[i], expected[j] = expected[j], expected[i]
    assert order.tolist() == expected


def test_permutations_differ_by_epoch_and_seed_and_are_fixed_for_ever():
    assert not np.array_equal(permutation(0, 0, 100), permutation(0, 1, 100))
    assert not np.array_equal(permutation(0, 0, 100), permutation(1, 0, 100))
    assert permutation(7, 3, 8).tolist() == permutation(7, 3, 8).tolist()


def test_every_row_is_equally_likely_first():
    n, draws = 5, 4000
    firsts = np.bincount([permutation(seed, 0, n)[0] for seed in range(draws)], minlength=n)
    # Five standard deviations of a binomial count.
    allowed = 5 * (draws * (1 / n) * (1 - 1 / n)) ** 0.5
    assert np.abs(firsts - draws / n).max() < allowed


def test_streams_have_the_moments_of_their_distribution():
    n = 100_000
    stream = Stream(1, Purpose.INITIALIZATION)
    u, z = stream.uniform(n), stream.normal(n)
    assert 0.0 <= u.min() < u.max() < 1.0
    # Five standard errors: of the mean, and of the second moment.
    assert abs(u.mean() - 0.5) < 5 * (1 / 12 / n) ** 0.5
    assert abs(z.mean()) < 5 / n**0.5
    assert abs((z**2).mean() - 1) < 5 * (2 / n) ** 0.5
    assert abs((z**4).mean() - 3) < 5 * (96 / n) ** 0.5


@given(seeds, st.integers(1, 9), st.integers(1, 9))
def test_a_longer_reading_starts_with_the_shorter_one(seed, n, more):
    stream = Stream(seed, Purpose.INITIALIZATION, layer=3)
    np.testing.assert_array_equal(stream.normal(n + more)[:n], stream.normal(n))


def test_streams_of_other_names_are_other_numbers():
    streams = [
        Stream(1, Purpose.INITIALIZATION),
        Stream(2, Purpose.INITIALIZATION),
        Stream(1, Purpose.PERMUTATION),
        Stream(1, Purpose.INITIALIZATION, epoch=1),
        Stream(1, Purpose.INITIALIZATION, step=1),
        Stream(1, Purpose.INITIALIZATION, layer=1),
    ]
    assert len({tuple(stream.bits(4).tolist()) for stream in streams}) == len(streams)


def test_errors_name_what_was_received():
    with pytest.raises(ValueError, match=r"below 2\*\*64, got -1"):
        Stream(-1, Purpose.PERMUTATION)
    with pytest.raises(TypeError, match=r"seed must be an integer, got 0\.5"):
        Stream(0.5, Purpose.PERMUTATION)
    with pytest.raises(ValueError, match=r"below 2\*\*32, got -3"):
        permutation(0, 0, -3)
