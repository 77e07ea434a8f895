"""All three stages on the embedded phantoms, with a report.

Takes the same arguments as `ssl-robust demo`; `python pipelines/demo.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["demo", *sys.argv[1:]])
