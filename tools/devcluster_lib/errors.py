# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong for reasons that the caller can read in one line."""


class DevclusterError(Exception):
    """Its text is the one line that the user sees."""


class UsageError(DevclusterError):
    """The command line asks for something that does not exist or does not fit."""
