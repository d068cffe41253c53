# SPDX-License-Identifier: BSD-2-Clause
"""The checks of tools/tidy.py. Each returns its complaints as "FILE:LINE: what" lines."""
