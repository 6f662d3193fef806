"""Layers and losses through JSON."""

import json

import pytest
from layer_examples import LAYERS

from pellucid import nn
from pellucid.persistence.layers import KNOWN, chain_from_json, chain_to_json


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_layers_come_back_equal(layers):
    chain = nn.Chain([*layers, nn.Linear(2)], nn.Loss("huber", 0.5))
    assert chain_from_json(json.loads(json.dumps(chain_to_json(chain)))) == chain


@pytest.mark.parametrize("loss", nn.LOSSES)
def test_losses_come_back_equal(loss):
    chain = nn.Chain([nn.Embedding(5, 3), nn.Activation("elu", 0.5), nn.Linear(1)], loss)
    assert chain_from_json(json.loads(json.dumps(chain_to_json(chain)))) == chain


def test_every_layer_of_the_textbook_is_known():
    exported = [getattr(nn, name) for name in nn.__all__]
    layers = [kind for kind in exported if isinstance(kind, type) and nn.Layer in kind.__mro__[1:]]
    assert len(layers) > 10
    with_code = {"CustomActivation"}
    assert {kind.__name__ for kind in layers} - with_code | {"Loss"} == set(KNOWN)


def test_initializers_of_the_table_come_back_and_others_are_refused():
    he = nn.Chain([nn.Linear(2, weights=nn.INITIALIZERS["he_normal"])], "squared_error")
    assert chain_to_json(he)["layers"][0]["Linear"]["weights"] == "he_normal"
    own = nn.Initializer("own", lambda stream, fan_in, fan_out: stream.uniform(fan_in * fan_out))
    with pytest.raises(TypeError, match="layer 0 holds a Initializer of your own"):
        chain_to_json(nn.Chain([nn.Linear(2, weights=own)], "squared_error"))


def test_what_is_no_layer_is_refused():
    state = chain_to_json(nn.Chain([nn.Linear(1)], "squared_error"))
    for layer in ({"os.system": {}}, {"Linear": {"nonsense": 1}}, {"Linear": {}, "Add": {}}, 3):
        with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
            chain_from_json({**state, "layers": [layer]})
    with pytest.raises(ValueError, match="layers and one loss"):
        chain_from_json({**state, "layers": [state["loss"]]})
    with pytest.raises(ValueError, match="layers and one loss"):
        chain_from_json({**state, "loss": state["layers"][0]})
