"""How much of a text is kept that somebody else wrote: the ledger and the lane's state stay of bounded size.

Used wherever the lane takes a text in. Longer ones are cut, never refused for it.
"""

from __future__ import annotations

MAX_WORDS = 500
"""What a person writes in an order or a notice: a reason, a justification."""
MAX_NOTE = 200
"""What a device or a driver says, and what something is called."""
