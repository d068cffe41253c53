# SPDX-License-Identifier: BSD-2-Clause
"""The driver against cinder.interface. Cinder's own compliance test sees no method on Python 3
(inspect.ismethod on a class), so that passing it says nothing."""
from __future__ import annotations

import inspect
from typing import Any

import ddt

from cinder.interface import util
from cinder.interface import volume_driver
from cinder.interface import volume_manageable_driver
from cinder.interface import volume_snapshot_revert
from cinder.interface import volume_snapshotmanagement_driver
from cinder.tests.unit import test
from cinder.volume import driver as cinder_driver

from cinder_ukai import base
from cinder_ukai import driver
from cinder_ukai import images
from cinder_ukai import manageable

INTERFACES = (volume_driver.VolumeDriverCore, volume_manageable_driver.VolumeListManageableDriver,
              volume_snapshotmanagement_driver.VolumeSnapshotManagementDriver,
              volume_snapshot_revert.VolumeSnapshotRevertDriver)
OURS = (driver.UkaiDriver, images.Images, manageable.Manageable, base.UkaiBase)
METHODS = [(interface, name, method) for interface in INTERFACES
           for name, method in inspect.getmembers(interface, inspect.isfunction)
           if not name.startswith("_")]
INHERITED = {"clone_image", "get_volume_stats"}  # Cinder's own are right for us


def differences(ours: Any, theirs: Any) -> list[str]:
    """How a call that fits `theirs` may not fit `ours`, by position or by name."""
    have = list(inspect.signature(ours).parameters.values())
    want = list(inspect.signature(theirs).parameters.values())
    takes_all = any(parameter.kind == parameter.VAR_KEYWORD for parameter in have)
    found = []
    for number, parameter in enumerate(want):
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            if parameter.kind not in [other.kind for other in have]:
                found.append(f"no {parameter}")
        elif number >= len(have) or have[number].name != parameter.name:
            if not (takes_all and parameter.default is not parameter.empty):
                found.append(f"no {parameter} at position {number}")
        elif (parameter.default is not parameter.empty
              and have[number].default is parameter.empty):
            found.append(f"{parameter.name} has no default")
    needed = [parameter.name for parameter in have[len(want):] if parameter.default
              is parameter.empty and parameter.kind == parameter.POSITIONAL_OR_KEYWORD]
    return found + [f"asks for {name} as well" for name in needed]


@ddt.ddt
class InterfaceTestCase(test.TestCase):
    def test_finds_the_methods_that_the_interface_has(self) -> None:
        names = {name for _interface, name, _method in METHODS}
        self.assertLessEqual({"create_volume", "terminate_connection", "manage_existing",
                              "get_manageable_snapshots", "revert_to_snapshot"}, names)
        self.assertGreater(len(names), 20)

    def test_difference_is_seen(self) -> None:
        def theirs(self: Any, volume: Any, size: Any = None) -> None:
            """As an interface."""

        def short(self: Any, volume: Any) -> None:
            """Lacks one."""

        def other(self: Any, disk: Any, size: Any = None) -> None:
            """Names one otherwise."""

        def longer(self: Any, volume: Any, size: Any = None, more: Any = 1) -> None:
            """Fits."""

        def greedy(self: Any, volume: Any, size: Any, more: Any) -> None:
            """Asks for more."""

        self.assertEqual([], differences(longer, theirs))
        for wrong in (short, other, greedy):
            self.assertNotEqual([], differences(wrong, theirs))

    @ddt.data(*METHODS)
    @ddt.unpack
    def test_signature(self, interface: type, name: str, method: Any) -> None:
        ours = getattr(driver.UkaiDriver, name, None)
        self.assertIsNotNone(ours, f"{interface.__name__}.{name}")
        self.assertEqual([], differences(ours, method), name)

    @ddt.data(*METHODS)
    @ddt.unpack
    def test_is_our_own(self, interface: type, name: str, _method: Any) -> None:
        owner = next(cls for cls in driver.UkaiDriver.__mro__ if name in vars(cls))
        if name not in INHERITED:
            self.assertIn(owner, OURS, name)

    def test_overrides_nothing_by_another_signature(self) -> None:
        for name in {name for cls in OURS for name in vars(cls)}:
            theirs = getattr(cinder_driver.VolumeDriver, name, None)
            if inspect.isfunction(theirs) and not name.startswith("__"):
                self.assertEqual([], differences(getattr(driver.UkaiDriver, name), theirs), name)

    def test_is_registered_and_described(self) -> None:
        self.assertIn(driver.UkaiDriver, [cls.cls for cls in util.get_volume_drivers()
                                          if hasattr(cls, "cls")])
        self.assertRegex(driver.UkaiDriver.VERSION, r"^\d+\.\d+\.\d+$")
        self.assertEqual("UKAI_CI", driver.UkaiDriver.CI_WIKI_NAME)
        self.assertIn("Version history", driver.UkaiDriver.__doc__ or "")
        for option in driver.UkaiDriver.get_driver_options():
            self.assertTrue(option.name.startswith("ukai_"))
            self.assertIsNotNone(option.help)
