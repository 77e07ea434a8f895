"""After stage three: ask readers about the labels that matter, round by round, and apply what they said.

Takes the same arguments as `ssl-robust relabel`; `python pipelines/relabel.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["relabel", *sys.argv[1:]])
