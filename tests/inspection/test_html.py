"""HTML of descriptions: what is in the text is in it, well formed and escaped."""

from html.parser import HTMLParser

from pellucid.inspection import html
from pellucid.inspection.description import describe_network
from pellucid.inspection.model_card import ColumnDescription, ModelDescription
from pellucid.nn import Activation, Chain, Linear


class Reader(HTMLParser):
    """Collects the cells of tables and checks that what is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.rows = [], [], 0
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.rows += tag == "tr"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


NETWORK = Chain([Linear(32), Activation("relu"), Linear(3)], "softmax_cross_entropy")


def test_the_table_of_a_network_has_the_same_cells_as_its_text():
    description = describe_network(NETWORK, 4)
    read = Reader(description._repr_html_())
    assert "".join(str(description).split()) == "".join("".join(read.cells).split())
    assert read.rows == len(str(description).splitlines())


def test_a_model_has_its_facts_layers_and_columns():
    columns = (ColumnDescription("<b>&", "numeric", 3, "numbers"),)
    facts = {"predicts": "one of 2 classes: <a>, b"}
    description = ModelDescription("Model", facts, describe_network(NETWORK, 4), columns)
    text = description._repr_html_()
    assert "<a>" not in text
    cells = Reader(text).cells
    assert cells[:2] == ["predicts", "one of 2 classes: <a>, b"]
    assert cells[-4:] == ["<b>&", "numeric", "3", "numbers"]
    for cell in cells:
        assert cell in str(description)


def test_numbers_go_to_the_right():
    text = html.table(("name", "n"), [("a", "1")], frozenset({0}))
    assert '<td>a</td><td class="number">1</td>' in text
