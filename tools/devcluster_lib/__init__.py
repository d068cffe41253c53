# SPDX-License-Identifier: BSD-2-Clause
"""The parts of tools/devcluster: one module a concern, `cluster` puts them together."""
