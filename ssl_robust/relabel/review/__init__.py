"""The page on which experts read doubtful scans: a local server, and what a browser needs of it."""
