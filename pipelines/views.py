"""Before stage one: a sheet of random views, to see whether they still show what the diagnosis needs.

Takes the same arguments as `ssl-robust views`; `python pipelines/views.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["views", *sys.argv[1:]])
