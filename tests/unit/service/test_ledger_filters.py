import pytest

from scatterlens_service.ledger import BadFilterError, TagTerm, open_engine


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("ring", TagTerm("ring")),
        ("ring>0.8", TagTerm("ring", ">", 0.8)),
        (" symmetry_6 <= 1 ", TagTerm("symmetry_6", "<=", 1.0)),
        ("halo>=0", TagTerm("halo", ">=", 0.0)),
        ("halo<5e-1", TagTerm("halo", "<", 0.5)),
    ],
)
def test_a_term_is_a_tag_or_a_bound_on_its_probability(text, term):
    assert TagTerm.parse(text) == term


@pytest.mark.parametrize(
    "text", ["", ">0.8", "ring>", "ring=0.8", "ring>2", "ring>-1", "ring>nan", "ring>inf", "Ring"]
)
def test_a_term_that_cannot_be_read_is_refused(text):
    with pytest.raises(BadFilterError):
        TagTerm.parse(text)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db"])
def test_a_ledger_that_could_not_be_shared_is_refused(url):
    with pytest.raises(ValueError, match="ledger"):
        open_engine(url)
