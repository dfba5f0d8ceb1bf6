"""The policy files as the checker finds them: every rule file below the folders, whatever the engine made of it.

Nothing of ``policies.py`` is used. A file is a policy by what it says (a scope and rules), not by its name or place:
one that the engine overlooked, because it lies deeper or is called like something else, is found here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

_SHORTEST_MEMORY = 7
_EVERY_CHANNEL = ("call", "ivr", "whatsapp", "sms", "email", "visit", "letter", "web_chat")


@dataclass(frozen=True)
class RuleFiles:
    """Policy files that hold for one country and day.

    Attributes:
        files: their paths, by id.
        digests: sha256 of the text of each, by id.
        memory_days: how many days back the rules remember; opt-outs, open promises and wrong numbers have no end.
        repeated: ids that more than one file claims.
    """

    files: tuple[Path, ...]
    digests: Mapping[str, str]
    memory_days: int
    repeated: tuple[str, ...]

    def channels_of(self, kind: str, day: date) -> frozenset[str]:
        """Channels that a rule of ``kind`` in force on ``day`` names, in whatever reading of the law."""
        found: set[str] = set()
        for file in self.files:
            for rule in yaml.safe_load(file.read_text(encoding="utf-8"))["rules"]:
                start, end = rule.get("effective_from"), rule.get("effective_to")
                holds = (start is None or start <= day) and (end is None or day <= end)
                if rule["kind"] == kind and holds:
                    found |= set(_EVERY_CHANNEL if rule["channels"] == "all" else rule["channels"])
        return frozenset(found)


def find_rule_files(folders: Iterable[Path | None], country: str, as_of: date) -> RuleFiles:
    """The policies below ``folders`` in force on ``as_of`` (both ends included) for ``country``, or for everybody.

    Folders that do not exist hold none. A file that is no YAML or no policy is passed over: the engine refuses the
    former by name, and the latter forbids nothing.
    """
    found: dict[str, tuple[Path, str]] = {}
    repeated: set[str] = set()
    policies: list[Mapping[str, Any]] = []
    for folder in folders:
        if folder is None or not folder.is_dir():
            continue
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in {".yaml", ".yml"} or not path.is_file():
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            policy = _policy(text)
            if policy is None or not _holds(policy, country, as_of):
                continue
            name = str(policy.get("id"))
            if name in found:
                repeated.add(name)
            found[name] = (path, hashlib.sha256(text.encode("utf-8")).hexdigest())
            policies.append(policy)
    return RuleFiles(
        files=tuple(found[name][0] for name in sorted(found)),
        digests={name: found[name][1] for name in sorted(found)},
        memory_days=longest_memory(policies),
        repeated=tuple(sorted(repeated)),
    )


def differing_rule_files(found: RuleFiles, of_the_run: Mapping[str, str]) -> list[str]:
    """Where the files found and those that the decision was made by (sha256 by id) differ, one sentence each."""
    problems = [f"{path} claims the id of another rule file; give one of them another id" for path in _claimants(found)]
    places = dict(zip(found.digests, found.files, strict=True))
    for name, digest in found.digests.items():
        if name not in of_the_run:
            problems.append(
                f"{places[name]} is in force and the decision was made without {name}: move it directly into the"
                " folder of policies under the name of its id, or remove it, and run the day again"
            )
        elif digest != of_the_run[name]:
            problems.append(f"{places[name]} is not the {name} that the decision was made by: run the day again")
    problems += [
        f"the decision was made by {name}, of which no file in force is left: run the day again"
        for name in of_the_run
        if name not in found.digests
    ]
    return problems


def longest_memory(policies: Sequence[Mapping[str, Any]]) -> int:
    """Days back that any of the rules looks at."""
    memory = _SHORTEST_MEMORY
    for policy in policies:
        for rule in policy["rules"]:
            window = str(rule.get("window", ""))
            if window.startswith("rolling_days:"):
                memory = max(memory, int(window.split(":")[1]))
            memory = max(memory, int(rule.get("days") or 0) + 1)
    return memory


def _claimants(found: RuleFiles) -> list[Path]:
    places = dict(zip(found.digests, found.files, strict=True))
    return [places[name] for name in found.repeated]


def _policy(text: str) -> Mapping[str, Any] | None:
    if "scope" not in text or "rules" not in text:
        return None  # texts and ladders are long, and reading them takes a while
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    is_policy = isinstance(content, dict) and isinstance(content.get("scope"), dict) and "rules" in content
    return content if is_policy else None


def _holds(policy: Mapping[str, Any], country: str, day: date) -> bool:
    start, end = policy.get("effective_from"), policy.get("effective_to")
    is_in_force = (start is None or start <= day) and (end is None or day <= end)
    return is_in_force and policy["scope"].get("jurisdiction") in {None, country}
