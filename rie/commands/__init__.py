"""What each subcommand of `rie` takes and does, one file each; rie/cli.py chooses."""
