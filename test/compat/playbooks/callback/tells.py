"""Writes how each task and each item of a loop ended, one JSON document per line, to the file that TELLS_TO names."""

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: tells
type: stdout
short_description: how each task ended, as JSON lines
description: [For comparing runs.]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "tells"

    def _tell(self, **event):
        with open(os.environ["TELLS_TO"], "a", encoding="utf-8") as lines:
            lines.write(json.dumps(event, default=str) + "\n")

    def _task(self, status, result, item=False):
        values = result._result
        label = ("(censored due to no_log)" if "censored" in values else self._get_item_label(values)) if item else None
        self._tell(
            kind="task",
            host=result._host.get_name(),
            task=result._task.get_name().strip(),
            action=result._task.action.split(".")[-1],
            status=status,
            item=label,
            loop=result._task.loop is not None,
            msg=values.get("msg") if result._task.action.split(".")[-1] == "debug" and "censored" not in values else None,
        )

    def _ok(self, result, item=False):
        self._task("changed" if result._result.get("changed") else "ok", result, item)

    def v2_runner_on_ok(self, result):
        self._ok(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._task("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result):
        self._task("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self._task("unreachable", result)

    def v2_runner_item_on_ok(self, result):
        self._ok(result, True)

    def v2_runner_item_on_failed(self, result):
        self._task("failed", result, True)

    def v2_runner_item_on_skipped(self, result):
        self._task("skipped", result, True)

    def v2_playbook_on_play_start(self, play):
        self._tell(kind="play", name=play.get_name())

    def v2_playbook_on_stats(self, stats):
        self._tell(kind="stats", hosts={host: stats.summarize(host) for host in stats.processed})
