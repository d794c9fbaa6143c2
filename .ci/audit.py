"""Ask for known vulnerabilities of every pinned package: ``make audit``.

Exit status: 0, all were asked for and none is known but those that audit_ignored.txt accepts;
1, there is one; 3, the service could not be asked for some or all, so nothing is known of them.
pip-audit by itself passes a package that the service does not know. Options go on to pip-audit.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
IGNORED = ROOT / ".ci" / "audit_ignored.txt"
BAR = "!" * 78


def main(options: list[str]) -> int:
    """Run pip-audit over requirements.lock and say what came of it."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(ROOT / "requirements.lock")]
    command += ["--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner"]
    command += ["off", "--timeout", "15", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines() or ["no answer"]
        return unknown(f"no package was audited ({lines[-1][:200]})")
    return verdict(packages, accepted(IGNORED.read_text()))


def verdict(packages: list[dict[str, Any]], ignored: dict[str, str]) -> int:
    """Print what was found; the exit status."""
    bad, asked = [], 0
    for package in packages:
        asked += "skip_reason" not in package
        for found in package.get("vulns", []):
            names = {found["id"], *found["aliases"]}
            if reasons := [ignored[name] for name in names if name in ignored]:
                print(f"ignored: {package['name']} {found['id']}: {reasons[0]}")
            else:
                fixed = ", ".join(found["fix_versions"]) or "no version"
                bad.append(
                    f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}"
                )
    for line in bad:
        print(f"vulnerable: {line}")
    if bad:
        return 1
    if asked < len(packages) or not packages:
        return unknown(f"{len(packages) - asked} of {len(packages)} packages were not audited")
    print(f"audit: {asked} packages, no vulnerability known but the {len(ignored)} ignored")
    return 0


def unknown(what: str) -> int:
    """Say loudly that nothing was said."""
    print(f"{BAR}\nAUDIT COULD NOT BE DONE: {what}.\nThis is no pass.\n{BAR}")
    return 3


def accepted(text: str) -> dict[str, str]:
    """Reasons by advisory, from lines "ID reason"; # begins a comment."""
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            if not reason.strip():
                raise SystemExit(f"{IGNORED}: {name} has no reason")
            found[name] = reason.strip()
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
