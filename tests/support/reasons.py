"""Why jobs of tests end without an annotation."""

from scatterlens.schemas import Reason

UNREADABLE = Reason(
    type="unreadable",
    title="Cannot be read",
    detail="The header ends early.",
    remedy="Send it again.",
)
CRASH = Reason(type="decode_crashed", title="Crashed", detail="Twice.", remedy="Look at it.")
