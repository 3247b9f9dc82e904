"""What `ml` raises: each message names the cause, the column or count, and the remedy."""


class NotTrainable(Exception):
    """The table is well formed, but nothing can be learned from it."""


class TableMismatch(ValueError):
    """The table lacks a column, or a column has another type than is needed."""


class UnknownVersion(ValueError):
    """The registry has no such version."""


class FilesGone(ValueError):
    """The registry knows a version whose files are not there any more."""
