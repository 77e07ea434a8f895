"""Stage three: rank the labels by how likely they are wrong.

Takes the same arguments as `ssl-robust relabel`; `python pipelines/relabel.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["relabel", *sys.argv[1:]])
