"""Scans and labels in the format of another tool: Label Studio, FiftyOne, Datumaro, cleanlab, ImageFolder.

Takes the same arguments as `ssl-robust convert`; `python pipelines/convert.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["convert", *sys.argv[1:]])
