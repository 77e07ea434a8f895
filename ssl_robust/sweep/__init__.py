"""Sweeps: one command, many runs, one after the other or through Hydra's launchers; a table of them all at the end."""
