"""Runs playbooks with the Ansible of this machine: reads [{folder, args}] as JSON from stdin, and writes for each what it told.

One process for all, since importing Ansible takes longer than most of these playbooks; each runs in a fork of its own.
"""

import json
import os
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
os.environ.update(
    ANSIBLE_CONFIG=os.path.join(here, "ansible.cfg"),
    ANSIBLE_CALLBACK_PLUGINS=os.path.join(here, "callback"),
    ANSIBLE_STDOUT_CALLBACK="tells",
    ANSIBLE_LOCALHOST_WARNING="0",
    ANSIBLE_DEPRECATION_WARNINGS="0",
    ANSIBLE_PIPELINING="1",
    ANSIBLE_PYTHON_INTERPRETER="/usr/bin/python3",
    ANSIBLE_SSH_RETRIES="0",
    ANSIBLE_NOCOLOR="1",
)

from ansible.cli.playbook import PlaybookCLI  # noqa: E402
from ansible.module_utils import basic  # noqa: E402,F401


def begin(case):
    told = tempfile.mkstemp(prefix="tells-")[1]
    pid = os.fork()
    if pid == 0:
        os.environ["TELLS_TO"] = told
        os.chdir(case["folder"])
        quiet = os.open(os.devnull, os.O_RDWR)
        log = os.open(os.path.join(case["folder"], "ansible.log"), os.O_WRONLY | os.O_CREAT)
        os.dup2(quiet, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = 250
        try:
            code = PlaybookCLI(["ansible-playbook"] + case["args"]).run()
        except SystemExit as ended:
            code = ended.code
        except BaseException as error:
            os.write(2, str(error).encode())
            code = getattr(error, "exit_code", None) or 1
        os._exit(code if isinstance(code, int) else 1)
    return pid, told


def ended(told, status):
    with open(told, encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    os.unlink(told)
    return {"code": os.WEXITSTATUS(status), "events": events}


cases = json.load(sys.stdin)
answers = [None] * len(cases)
running = {}
left = list(enumerate(cases))
while left or running:
    while left and len(running) < 2:
        index, case = left.pop(0)
        pid, told = begin(case)
        running[pid] = (index, told)
    pid, status = os.wait()
    if pid in running:
        index, told = running.pop(pid)
        answers[index] = ended(told, status)
json.dump(answers, sys.stdout)
