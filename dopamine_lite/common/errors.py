"""Errors that a user can mend: one clear sentence each, exit status 2, no traceback."""


class UserError(Exception):
    """Something the user gave or the machine lacks; `str(error)` says what, where and what to do.

    The command line prints the sentence and exits with status 2. Raise it before anything is
    written, so that a refused command leaves no half-made run directory behind.
    """
