"""For users: what a saved classifier says of new scans.

Takes the same arguments as `ssl-robust predict`; `python pipelines/predict.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["predict", *sys.argv[1:]])
