# SPDX-License-Identifier: BSD-2-Clause
"""The process boundary: command lines, exit statuses, output."""
from __future__ import annotations

from typing import Any
from unittest import mock

import ddt
from oslo_concurrency import processutils

from cinder import exception
from cinder.tests.unit import test

from cinder_ukai import ctl


@ddt.ddt
class CtlTestCase(test.TestCase):
    def run_with(self, *arguments: str, **outcome: Any) -> ctl.Document:
        self.execute = mock.Mock(**outcome)
        return ctl.Ukaictl(self.execute, "/opt/ukaictl", ["--metadata=zk:2181/a b"], 10).run(
            *arguments)

    def fails_with(self, failure: Exception) -> ctl.UkaiError:
        error: ctl.UkaiError = self.assertRaises(ctl.UkaiError, self.run_with, "disk", "info",
                                                 "v; rm -rf /", side_effect=failure)
        return error

    def test_is_an_argument_list_with_a_time_limit(self) -> None:
        document = self.run_with("disk", "info", "v", return_value=('{"schema": 1, "x": 2}', ""))
        self.assertEqual(2, document["x"])
        self.execute.assert_called_once_with(
            "timeout", "--kill-after=5", "40", "/opt/ukaictl", "-o", "json", "--timeout=10s",
            "--metadata=zk:2181/a b", "disk", "info", "v")

    @ddt.data((1, ctl.UkaiError), (2, ctl.UkaiError), (3, ctl.NotFound), (4, ctl.AlreadyExists),
              (5, ctl.Busy), (6, ctl.NoSpace), (7, ctl.Unreachable), (8, ctl.Refused))
    @ddt.unpack
    def test_status_is_an_exception_with_the_line(self, status: int, kind: type) -> None:
        error = self.fails_with(processutils.ProcessExecutionError(
            exit_code=status, stderr="progress\nukaictl: disk v is odd\n"))
        self.assertIs(kind, type(error))
        self.assertIsInstance(error, exception.VolumeBackendAPIException)
        self.assertEqual("disk v is odd", error.line)
        self.assertEqual("ukaictl disk info v; rm -rf /: disk v is odd", str(error))

    def test_failure_without_a_line_tells_its_status(self) -> None:
        error = self.fails_with(processutils.ProcessExecutionError(exit_code=-11, stderr=""))
        self.assertEqual("it failed with status -11", error.line)

    @ddt.data(124, 137)
    def test_that_hangs_is_unreachable(self, status: int) -> None:
        error = self.fails_with(processutils.ProcessExecutionError(exit_code=status, stderr=""))
        self.assertIs(ctl.Unreachable, type(error))
        self.assertEqual("it hung, and was ended after 40 s", error.line)

    def test_that_is_not_installed_is_said(self) -> None:
        error = self.fails_with(processutils.ProcessExecutionError(
            exit_code=127, stderr="timeout: failed to run command '/opt/ukaictl': No such file"))
        self.assertIn("No such file", error.line)
        self.assertIn("timeout", self.fails_with(FileNotFoundError("no timeout")).line)

    @ddt.data("no JSON", "[1]", '{"schema": 2}', '{"kind": "disk"}')
    def test_output_of_another_kind_is_an_error(self, output: str) -> None:
        self.assertRaises(ctl.UkaiError, self.run_with, "status", return_value=(output, ""))

    def test_no_output_is_an_empty_document(self) -> None:
        self.assertEqual({}, self.run_with("clone", "a", "b", return_value=("\n", "")))

    def test_only_the_first_document_counts(self) -> None:
        two = '{"schema": 1, "job": "a"}\n{"schema": 1, "job": "b"}\n'
        self.assertEqual("a", self.run_with("sync", "v", return_value=(two, ""))["job"])
