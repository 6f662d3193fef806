"""What `describe_network` counts."""

import numpy as np

from pellucid.inspection.description import describe_network
from pellucid.nn import BatchNorm, Chain, Columns, Embedding, Linear, PeriodicEmbedding, Residual


def test_counts_are_those_of_the_layout():
    columns = Columns([(3, PeriodicEmbedding(4)), (1, Embedding(1000, 16))])
    chain = Chain([columns, Residual([BatchNorm(), Linear(28)]), Linear(1)], "squared_error")
    description = describe_network(chain, 4, np.float64)
    assert description.n_parameters == chain.layout(4).size
    assert description.n_bytes == 8 * chain.layout(4).size
    assert [layer.width for layer in description.layers] == list(chain.widths(4)[1:])
    assert description.layers[0].shapes["1.table"] == (1000, 16)


def test_flops_are_those_of_the_products():
    chain = Chain([Linear(5, bias=False), Linear(3)], "squared_error")
    description = describe_network(chain, 7)
    assert [layer.flops for layer in description.layers] == [2 * 7 * 5, 2 * 5 * 3 + 3]


def test_only_what_differs_from_the_default_is_written():
    chain = Chain([Linear(5, bias=False), BatchNorm(epsilon=0.1)], "squared_error")
    layers = [layer.layer for layer in describe_network(chain, 7).layers]
    assert layers == ["Linear(5, bias=False)", "BatchNorm(epsilon=0.1)"]


def test_the_table_is_aligned_and_sums_up():
    chain = Chain([Linear(5), Linear(3)], "huber")
    lines = str(describe_network(chain, 1_000_000)).splitlines()
    assert lines[2].endswith("20.0 MB  10,000,005")
    assert lines[-1].split() == ["loss:", "huber", "5,000,023", "20.0", "MB", "10,000,038"]
    assert len({line.index("parameters") for line in lines if "parameters" in line}) == 1
