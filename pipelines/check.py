"""Before stage one: what is in the data, and what in it would deceive a training.

Takes the same arguments as `ssl-robust check`; `python pipelines/check.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["check", *sys.argv[1:]])
