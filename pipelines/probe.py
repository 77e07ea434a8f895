"""How good are the features: an encoder beside a random one and a histogram, on labelled scans.

Takes the same arguments as `ssl-robust probe`; `python pipelines/probe.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["probe", *sys.argv[1:]])
