"""What several people's labels of one frame come to."""

from collections import Counter
from collections.abc import Iterable, Sequence

from scatterlens.schemas import Consensus, LabelValue
from scatterlens_service.ledger import LabelRow


def find_consensus(labels: Iterable[LabelRow]) -> list[Consensus]:
    """Count the current labels of each attribute, in the order in which they were first said."""
    said: dict[str, list[str | None]] = {}
    for label in labels:
        said.setdefault(label.attribute, []).append(label.value)
    return [_count(attribute, values) for attribute, values in said.items()]


def _count(attribute: str, values: Sequence[str | None]) -> Consensus:
    votes = Counter(values)
    return Consensus(
        attribute=attribute,
        value=_majority(votes["present"], votes["absent"]),
        present=votes["present"],
        absent=votes["absent"],
        unsure=votes["unsure"],
        agree=len(votes) == 1,
    )


def _majority(present: int, absent: int) -> LabelValue:
    # Nobody's word outweighs another's, and a tie tells a network nothing.
    if present == absent:
        return "unsure"
    return "present" if present > absent else "absent"
