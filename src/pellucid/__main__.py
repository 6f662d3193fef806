"""Run the command line: `python -m pellucid` and the command `pellucid`."""

from pellucid.cli.interrupt import leave_on_interrupt


def main() -> None:
    """Run the command line."""
    leave_on_interrupt()
    from pellucid.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
