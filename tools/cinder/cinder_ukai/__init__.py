# SPDX-License-Identifier: BSD-2-Clause
"""UKAI disks as Cinder volumes. The driver is cinder_ukai.driver.UkaiDriver."""
