"""What pages say of known and unknown users and items."""

from collections.abc import Mapping

from cmml_tf.evaluation.task_metrics import KNOWN_ITEMS, KNOWN_USERS, UNKNOWN_ITEMS, UNKNOWN_USERS
from cmml_tf.reports import markup
from cmml_tf.reports.markup import Markup

PARTS = (KNOWN_USERS, UNKNOWN_USERS, KNOWN_ITEMS, UNKNOWN_ITEMS)
"""Parts of what is asked, in the order of pages."""


def shares_known(shares: Mapping[str, float]) -> Markup:
    """How much of what is asked is known; `shares` of `users` and `items`."""
    said = "; ".join(f"{value:.1%} of the {what} are known" for what, value in shares.items())
    return markup.paragraph(
        f"Of what is asked, {said}. A kind of which nothing is asked is left out."
    )
