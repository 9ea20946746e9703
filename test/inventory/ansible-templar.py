"""Templates with Ansible's own Templar: reads {"vars": {...}, "templates": [...]} on stdin, answers a list of results."""
import json
import sys

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

asked = json.load(sys.stdin)
answers = []
templar = Templar(loader=DataLoader(), variables=asked["vars"])
for template in asked["templates"]:
    try:
        value = templar.template(template)
        answers.append({"value": json.loads(json.dumps(value, default=str))})
    except (AnsibleError, Exception) as error:  # noqa: B902 a broken template may raise anything
        answers.append({"error": str(error)[:200]})
json.dump(answers, sys.stdout)
