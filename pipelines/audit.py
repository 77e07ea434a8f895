"""Stage three: rank the labels by how likely they are wrong.

Takes the same arguments as `ssl-robust audit`; `python pipelines/audit.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["audit", *sys.argv[1:]])
