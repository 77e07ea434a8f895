"""For users: a good classifier from labels that may be wrong.

Takes the same arguments as `ssl-robust train`; `python pipelines/train.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
