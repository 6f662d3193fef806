"""Run the command line with `python -m pellucid`."""

from pellucid.cli.main import main

if __name__ == "__main__":
    main()
