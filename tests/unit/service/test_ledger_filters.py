import pytest

from scatterlens_service.ledger import (
    BadFilterError,
    Both,
    Bound,
    Condition,
    Known,
    Not,
    open_engine,
    parse_query,
)

KNOWN = [
    Known("ring", "Ring", 0.4),
    Known("halo", "Halo", 0.5),
    Known("symmetry_6", "6-fold symmetry", 0.6),
]


def says(condition: Condition) -> str:
    """A condition as text, with all its brackets."""
    match condition:
        case Bound():
            return f"{condition.attribute}{condition.sign}{condition.value:g}"
        case Not(part):
            return f"!{says(part)}"
        case Both(parts):
            return f"({' & '.join(map(says, parts))})"
        case _:
            return f"({' | '.join(map(says, condition.parts))})"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("ring", "ring>=0.4"),
        ("ring>0.8", "ring>0.8"),
        (" symmetry_6 <= 1 ", "symmetry_6<=1"),
        ("halo<5e-1", "halo<0.5"),
        ('"6-fold symmetry" >= .5', "symmetry_6>=0.5"),
        ("Ring AND Halo", "(ring>=0.4 & halo>=0.5)"),
        ("ring and not halo or symmetry_6", "((ring>=0.4 & !halo>=0.5) | symmetry_6>=0.6)"),
        ("ring and (not halo or symmetry_6)", "(ring>=0.4 & (!halo>=0.5 | symmetry_6>=0.6))"),
        ("not not ring > 0", "!!ring>0"),
    ],
)
def test_a_query_binds_not_before_and_before_or(text, meaning):
    assert says(parse_query(text, KNOWN)) == meaning


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "character 1 the query ends; expected an attribute"),
        ("ring > ", "character 8 the query ends; expected a probability"),
        ("ring > 2", "character 8 '2' stands; expected a probability from 0 to 1"),
        ("ring > nan", "character 8 'nan' stands; expected a probability"),
        ("ring >> 0.5", "character 7 '>' stands; expected a probability"),
        ("ring = 0.5", "character 6 '=' stands; expected `and`"),
        ("ring halo", "character 6 'halo' stands; expected `and`, `or` or the end"),
        ("ring and", "character 9 the query ends; expected an attribute"),
        ("(ring or halo", "character 14 the query ends; expected `and`, `or` or `\\)`"),
        ("ring)", "character 5 '\\)' stands"),
        ("wrong > 0.5", "character 1 'wrong' stands; expected an attribute of the model: ring,"),
        ("(" * 40 + "ring" + ")" * 40, "more than 30 brackets"),
        ("not " * 40 + "ring", "more than 30 brackets"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused_with_the_place(text, fault):
    with pytest.raises(BadFilterError, match=fault):
        parse_query(text, KNOWN)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db"])
def test_a_ledger_that_could_not_be_shared_is_refused(url):
    with pytest.raises(ValueError, match="ledger"):
        open_engine(url)
