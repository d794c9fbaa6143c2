"""What the ledger refuses, in words."""


class StoreError(RuntimeError):
    """A store cannot be used; the message names it and says what would help."""
