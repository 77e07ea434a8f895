"""Stage two: train a classifier on noisy labels and measure the damage.

Takes the same arguments as `ssl-robust finetune`; `python pipelines/finetune.py --help` lists them.
"""

import sys

from ssl_robust.cli import main

if __name__ == "__main__":
    main(["finetune", *sys.argv[1:]])
