"""A grid of trainings under label noise, and the report on it.

Takes the same arguments as `ssl-robust study`; `python pipelines/study.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["study", *sys.argv[1:]])
