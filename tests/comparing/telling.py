"""A process that tells what it was told: the names in its environment."""

import json
import os
import sys

if __name__ == "__main__":
    shells_own = {"PWD", "SHLVL", "_", "LC_CTYPE"}
    sys.stdout.write(json.dumps({"environment": " ".join(sorted(os.environ.keys() - shells_own))}) + "\n")
