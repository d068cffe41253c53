# SPDX-License-Identifier: BSD-2-Clause
"""Carries out placement.Moves: jobs of UKAI, which copy from node to node and outlive us."""
from __future__ import annotations

import time
from typing import Optional

from oslo_log import log as logging

from cinder import exception
from cinder.i18n import _

from cinder_ukai import ctl
from cinder_ukai.placement import Moves

LOG = logging.getLogger(__name__)

POLL_SECONDS = 1.0


class Mover:
    """Moves one disk at a time; the guest goes on meanwhile. Repeating it goes on where it was."""

    def __init__(self, ukai: ctl.Ukaictl, rate: Optional[str], seconds_max: int) -> None:
        self._ukai = ukai
        self._rate = rate
        self._seconds_max = seconds_max

    def move(self, name: str, moves: Moves) -> None:
        """Errors: VolumeMigrationFailed, with what the job said; UkaiError."""
        deadline = time.monotonic() + self._seconds_max
        for source, target in moves.relocations:
            self._wait(self._ukai.relocate(name, source, target, self._rate), deadline)
        if moves.additions:
            self._wait(self._ukai.replicate(name, list(moves.additions), self._rate), deadline)
        if moves.removals:
            self._ukai.remove_locations(name, list(moves.removals))

    def _wait(self, job: Optional[str], deadline: float) -> None:
        while job:
            state = self._look(job)
            if state.get("state") == "done":
                return
            if state.get("state") in ("failed", "cancelled"):
                raise exception.VolumeMigrationFailed(
                    reason=_("job %(job)s %(state)s: %(why)s")
                    % {"job": job, "state": state["state"], "why": state["why"] or _("no reason")})
            if time.monotonic() > deadline:
                self._ukai.cancel(job)
                raise exception.VolumeMigrationFailed(
                    reason=_("job %(job)s was not done after %(seconds)d s and is cancelled")
                    % {"job": job, "seconds": self._seconds_max})
            time.sleep(POLL_SECONDS)

    def _look(self, job: str) -> ctl.Document:
        """What the job is like; empty when nobody can be asked now: it goes on without us."""
        try:
            return self._ukai.job(job)
        except ctl.Unreachable as failure:
            LOG.warning("%s", failure)
            return {}
