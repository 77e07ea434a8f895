"""Scans -> one vector each, with a pretrained encoder.

Takes the same arguments as `ssl-robust embed`; `python pipelines/embed.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["embed", *sys.argv[1:]])
