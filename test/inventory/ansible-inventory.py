"""
What a real Ansible makes of inventories: reads a list of cases on stdin, answers a list of results on stdout.

A case: {"files": {path: text}, "sources": [path], "extra": [..], "playbook": folder?, "vaultPassword": text?,
"patterns": [..], "limit": ...}. A result: {"list": ..., "patterns": {pattern: {"play": [host] | null, "limit": ...}}, "failed": bool}.
Each pattern is resolved as the hosts of a play and as what --limit leaves of all hosts, null where it is unknown.
Each case runs in a process of its own: Ansible keeps its command line in a global that is set once.
"""
import json
import os
import shutil
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
configuration = tempfile.NamedTemporaryFile("w", suffix=".cfg", prefix="fleet-ansible-")
configuration.write("[defaults]\n")
configuration.flush()
os.environ["ANSIBLE_CONFIG"] = configuration.name
os.environ["ANSIBLE_NOCOLOR"] = "1"

from ansible import context  # noqa: E402
from ansible.cli.inventory import InventoryCLI  # noqa: E402
from ansible.errors import AnsibleError  # noqa: E402
from ansible.parsing.ajson import AnsibleJSONEncoder  # noqa: E402
from ansible.utils.display import Display  # noqa: E402


def answer(case, folder):
    said = []
    for name in ("warning", "error"):
        setattr(Display, name, lambda self, msg, *a, **k: said.append(str(msg)))
    Display.deprecated = lambda self, *a, **k: None
    Display.display = lambda self, msg, *a, **k: None
    arguments = ["ansible-inventory", "--list"]
    for source in case["sources"]:
        arguments += ["-i", source]
    for extra in case.get("extra", []):
        arguments += ["-e", extra]
    if case.get("playbook"):
        arguments += ["--playbook-dir", case["playbook"]]
    if case.get("vaultPassword"):
        with open("vault-password", "w") as file:
            file.write(case["vaultPassword"] + "\n")
        arguments += ["--vault-password-file", "vault-password"]
    cli = InventoryCLI(arguments)
    printed = {}
    original = InventoryCLI.dump

    def keep(stuff):
        printed["list"] = json.loads(json.dumps(stuff, cls=AnsibleJSONEncoder, preprocess_unsafe=True, vault_to_text=False))
        return original(stuff)

    InventoryCLI.dump = staticmethod(keep)
    try:
        cli.run()
    except SystemExit:
        pass
    result = {"list": printed.get("list"), "patterns": {}}
    result["failed"] = any("Unable to parse" in text or "Failed to parse" in text for text in said)
    result["said"] = [text.replace(folder, "")[:300] for text in said]
    inventory = cli.inventory

    def hosts_of(pattern, limit):
        inventory.subset(None)
        inventory._hosts_patterns_cache.clear()
        inventory._pattern_cache.clear()
        before = len(said)
        try:
            inventory.subset(limit)
            names = [host.name for host in inventory.get_hosts(pattern)]
        except Exception:  # noqa: B902 an unknown name, or one that is no pattern
            return None
        return None if any("Could not match" in text for text in said[before:]) else names

    for pattern in case.get("patterns", []):
        result["patterns"][pattern] = {"play": hosts_of(pattern, None), "limit": hosts_of("all", pattern)}
    return result


def in_child(case):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        folder = os.path.realpath(tempfile.mkdtemp(prefix="fleet-ansible-"))
        try:
            for path, text in case["files"].items():
                full = os.path.join(folder, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", newline="") as file:
                    file.write(text)
                if text.startswith("#!"):
                    os.chmod(full, 0o755)
            os.chdir(folder)
            try:
                result = answer(case, folder)
            except (AnsibleError, Exception) as error:  # noqa: B902
                result = {"list": None, "patterns": {}, "failed": True, "said": [str(error).replace(folder, "")[:300]]}
        finally:
            os.chdir("/")
            shutil.rmtree(folder, ignore_errors=True)
        with os.fdopen(write, "w") as out:
            json.dump(result, out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as source:
        text = source.read()
    os.waitpid(pid, 0)
    return json.loads(text) if text else {"list": None, "patterns": {}, "failed": True, "said": ["died"]}


if __name__ == "__main__":
    json.dump([in_child(case) for case in json.load(sys.stdin)], sys.stdout)
