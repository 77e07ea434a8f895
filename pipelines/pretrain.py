"""Stage one: learn an encoder from the scans alone.

Takes the same arguments as `ssl-robust pretrain`; `python pipelines/pretrain.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["pretrain", *sys.argv[1:]])
