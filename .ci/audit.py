"""Known weaknesses of the pinned packages, by pip-audit; says so where they cannot be looked up.

python .ci/audit.py PIP_AUDIT CONSTRAINTS; exit code 1 if a pinned package has one.
"""

from __future__ import annotations

import json
import subprocess
import sys


def main(program: str, pins: str) -> int:
    """Run pip-audit and print one line for each weakness, or why nothing can be said."""
    command = [program, "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    ended = subprocess.run(
        [*command, "--format", "json", "-r", pins], capture_output=True, text=True
    )
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (ended.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"audit: skipped, the database of weaknesses cannot be reached ({reason})")
        return 0
    known = [package for package in packages if "skip_reason" not in package]
    weak = [package for package in known if package["vulns"]]
    for package in weak:
        for weakness in package["vulns"]:
            mended = ", ".join(weakness["fix_versions"]) or "no version"
            print(f"{package['name']} {package['version']}: {weakness['id']}, mended in {mended}")
    if not known:
        print(f"audit: skipped, the database knows none of the {len(packages)} pinned versions")
        return 0
    unknown = len(packages) - len(known)
    print(f"audit: {len(known)} packages looked up, {len(weak)} weak, {unknown} not known there")
    return bool(weak)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
