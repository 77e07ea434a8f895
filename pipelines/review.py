"""Stage four: a local page on which experts read the labels that are probably wrong.

Takes the same arguments as `ssl-robust review`; `python pipelines/review.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["review", *sys.argv[1:]])
